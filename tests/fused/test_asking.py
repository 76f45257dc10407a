"""What runs of a group are asked alike is seen once for all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pairs
import pytest

import samples
from tunesweep.config import RunConfig
from tunesweep.fused import carry
from tunesweep.fused.asking import OnePass
from workplace import tiny

Make = Callable[..., RunConfig]
SIZE = (
    "dataset.limit.train=16",
    "dataset.limit.select=6",
    "dataset.limit.test=7",
    "runtime.eval_batch_size=4",
)
RUNS = ("lora.r=1", "lora.r=4 train.lr=3e-2 seeds.data=1", "method=ia3")


def shared(folder: Path) -> tuple[str, ...]:
    budget = ("train.epochs=2", "train.batch_size=8", "runtime.probe_steps=0")
    return (*tiny("random_bert"), *samples.films(folder), *SIZE, *budget)


def test_each_split_is_read_once_for_all_runs(
    make_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []  # rows of each pass
    see = OnePass._look

    def watched(self: OnePass, piece: dict[str, Any], look: Any) -> Any:
        found = see(self, piece, look)
        seen.append(sum(self.learner.layout.sizes))
        return found

    monkeypatch.setattr(OnePass, "_look", watched)
    pairs.together(pairs.points(make_config, tmp_path, shared(tmp_path), RUNS))
    assert not carry.dissolved
    # Seven scored examples in batches of four, cut by three runs; the same one by one; the same at once.
    assert seen == [*(6, 6, 3, 3, 3), *[3] * 7, *(9, 9, 3)]


def test_a_run_that_diverged_is_not_asked(make_config: Make, tmp_path: Path) -> None:
    ruined = "lora.r=2 train.lr=1e30 train.clip=null"
    configs = pairs.points(make_config, tmp_path, shared(tmp_path), (ruined, *RUNS))
    found = pairs.together(configs)
    assert [bool(record.failure) for record in found.records] == [True, False, False, False]
    assert all(record.metrics["test"]["n"] == 7 for record in found.records[1:])


def test_where_memory_runs_out_each_is_scored_alone(
    make_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = pairs.alone(pairs.points(make_config, tmp_path / "alone", shared(tmp_path), RUNS))

    def full(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(OnePass, "_see", full)
    found = pairs.together(pairs.points(make_config, tmp_path / "fused", shared(tmp_path), RUNS))
    assert not carry.dissolved
    for place, record in enumerate(found.records):
        assert record.runtime["executor"] == "fused(3)"
        assert record.failure is None
        assert found.predictions(place) == expected.predictions(place)
