"""The torture in small: three points, two kills. `make torture` is the whole of it."""

from __future__ import annotations

import pytest

from torture import Torture

pytestmark = pytest.mark.slow  # over a minute; test_processes kills in quicker ways


def test_a_killed_sweep_ends_as_an_undisturbed_one(tmp_path):
    outcome = Torture(tmp_path, points=3, seed=1).run(kills=2)
    assert outcome.problems == []
    assert outcome.kills.total() >= 2
