"""Advice is right as often as it says: docs/recommend.md in small."""

from __future__ import annotations

import importlib
from dataclasses import replace
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunesweep.stats.advice import Known

DOCS = Path(__file__).parents[2] / "docs"
TIMES = 60  # stores of each spread

pytestmark = pytest.mark.slow


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(DOCS))
    return importlib.import_module("make_recommend")


def excess(made: Any, seeds: int) -> float:
    """Return how far the share that is right lies above what was said, in standard errors of such a share."""
    advices = [each for spread in made.SPREADS for each in made.given(seeds, spread, TIMES)]
    said = np.array([advice.probability for advice in advices])
    right = np.array([advice.right for advice in advices])
    return float((right - said).sum() / sqrt((said * (1 - said)).sum()))


@pytest.mark.parametrize("seeds", [3, 5])
def test_advice_is_not_more_sure_than_right(made, seeds):
    assert excess(made, seeds) > -2


def test_what_forgets_the_seeds_would_be_found_out(made, monkeypatch):
    class Forgetful(Known):
        @classmethod
        def of(cls, *arguments: Any, **more: Any) -> Known:
            known = Known.of(*arguments, **more)
            return replace(known, alone=np.zeros_like(known.alone))

    monkeypatch.setattr(made, "Known", Forgetful)
    assert excess(made, 3) < -3


def test_the_bins_of_the_page_hold_every_store(made):
    advices = [each for spread in made.SPREADS for each in made.given(3, spread, 20)]
    lines = made.calibration(advices)
    assert sum(n for _, n, _, _ in lines) == len(advices)
    assert all(0 <= right <= 1 for *_, right in lines)
    assert sorted(stated for _, _, stated, _ in lines) == [stated for _, _, stated, _ in lines]


def test_the_example_of_the_page_is_what_the_command_says(made):
    page = (DOCS / "recommend.md").read_text()
    assert made.between(page, "example", made.example()) == page
