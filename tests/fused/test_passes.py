"""Runs share a pass where that is cheapest, and come to the same numbers however they are put together."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pairs
import pytest

import samples
from tunesweep.config import RunConfig
from tunesweep.fused import learner, passes
from workplace import tiny

Sizes = list[tuple[int, int]]


def cost(parts: list[list[int]], sizes: Sizes, fixed: int) -> int:
    return sum(fixed + sum(sizes[p][0] for p in part) * max(sizes[p][1] for p in part) for part in parts)


def partitions(places: list[int]) -> Iterator[list[list[int]]]:
    """Yield every way to put places into parts."""
    if not places:
        yield []
        return
    first, rest = places[0], places[1:]
    for parts in partitions(rest):
        yield [[first], *parts]
        for place in range(len(parts)):
            yield [*parts[:place], [first, *parts[place]], *parts[place + 1 :]]


@pytest.mark.parametrize("seed", range(12))
def test_no_other_way_is_cheaper(seed: int) -> None:
    draw = random.Random(seed)
    rows = draw.choice([8, 32])
    sizes = [(rows, draw.randint(1, 120)) for _ in range(draw.randint(1, 7))]
    found = passes.passes(sizes, 10**6, "cpu")
    assert sorted(place for part in found for place in part) == list(range(len(sizes)))
    cheapest = min(cost(parts, sizes, 1000) for parts in partitions(list(range(len(sizes)))))
    assert cost(found, sizes, 1000) == cheapest


def test_equal_widths_and_gpus_take_one_pass() -> None:
    widest = 32 * 100
    assert passes.passes([(32, 30)] * 5, widest, "cpu") == [[0, 1, 2, 3, 4]]
    assert passes.passes([(32, 20), (32, 100), (32, 21)], widest, "cpu") == [[1], [0, 2]]
    assert passes.passes([(32, 20), (32, 100), (32, 21)], widest, "cuda") == [[0, 1, 2]]
    assert passes.passes([(5, 0), (5, 0)], 0, "cpu") == [[0, 1]]  # features, which are no texts


def test_no_pass_holds_more_than_two_of_a_runs_widest_batches() -> None:
    widest = 32 * 100
    assert [len(part) for part in passes.passes([(32, 100)] * 5, widest, "cpu")] == [2, 2, 1]
    assert [len(part) for part in passes.passes([(32, 50)] * 5, widest, "cpu")] == [4, 1]
    assert passes.passes([(32, 100)] * 5, widest, "cuda") == [[0, 1, 2, 3, 4]]


def test_runs_of_several_passes_are_those_of_separate_runs(
    make_config: Callable[..., RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []

    def noted(sizes: Sizes, widest: int, device: str) -> list[list[int]]:
        found = passes.passes(sizes, widest, device)
        taken.append(len(found))
        return found

    monkeypatch.setitem(passes.FIXED, "cpu", 1)
    monkeypatch.setattr(learner, "passes", noted)
    runs = tuple(f"method=lora lora.r={seed + 1} lora.dropout=0.3 seed={seed}" for seed in range(3))
    shared: list[Any] = [
        *tiny("random_bert"),
        *samples.films(tmp_path),
        "train.epochs=2",
        "train.batch_size=8",
    ]
    shared += ["dataset.limit={train: 36, select: 6, test: 6}", "train.lr=1e-2", "train.precision=fp32"]
    fused, alone = pairs.both(make_config, tmp_path, shared, runs)
    assert max(taken) > 1
    for place, (one, other) in enumerate(zip(fused.records, alone.records, strict=True)):
        assert (one.failure, other.failure) == (None, None)
        for mine, theirs in zip(one.history, other.history, strict=True):
            assert mine == pytest.approx(theirs, abs=1e-5, rel=1e-5)
        assert fused.predictions(place) == alone.predictions(place)
