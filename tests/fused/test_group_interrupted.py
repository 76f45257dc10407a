"""A group that is killed or stopped goes on from its checkpoints, and leaves what it would have left."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pairs
import pytest

import samples
from tunesweep.config import RunConfig
from tunesweep.fused.learner import GroupLearner
from workplace import tiny

Make = Callable[..., RunConfig]
RUNS = (
    "method=lora lora.r=2 lora.dropout=0.3 seeds.data=1",
    "method=lora lora.r=4 train.lr=1e30 train.clip=null",  # leaves in the first epoch
    "method=ia3 train.patience=1 train.lr=1e-5",  # leaves after the second
    "method=lora lora.r=4 train.lr=3e-2",
)
STEPS = 5  # of an epoch: 36 examples in batches of 8


class Killed(BaseException):
    """Stands for an end without a word."""


@pytest.fixture
def shared(tmp_path: Path) -> tuple[str, ...]:
    limits = ("dataset.limit.train=36", "dataset.limit.select=6", "dataset.limit.test=6")
    budget = ("train.epochs=3", "train.batch_size=8", "train.lr=1e-2", "runtime.probe_steps=0")
    return (*tiny("random_bert"), *samples.films(tmp_path), *limits, *budget)


def at_call(monkeypatch: pytest.MonkeyPatch, name: str, number: int, act: Callable[[], None]) -> None:
    """Let something happen at a call of a hook of the group's learner."""
    before, calls = getattr(GroupLearner, name), [0]

    def hook(self: GroupLearner, *arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == number:
            act()
        return before(self, *arguments)

    monkeypatch.setattr(GroupLearner, name, hook)


def die() -> None:
    raise Killed


def outcome(side: pairs.Side) -> list[Any]:
    """Return what must not depend on interruptions, to the bit."""
    return [
        (r.history, (r.failure or {}).get("class"), r.metrics, r.failed or side.predictions(place))
        for place, r in enumerate(side.records)
    ]


@pytest.mark.parametrize(
    "place",
    [
        ("training_step", 8, 7),
        pytest.param(("validation_step", 2, 10), marks=pytest.mark.slow),
        pytest.param(("training_step", 13, 12), marks=pytest.mark.slow),
    ],
    ids=["in the second epoch", "while the second epoch is scored", "in the third epoch"],
)
def test_a_killed_group_goes_on_and_leaves_the_same_records(
    make_config: Make,
    tmp_path: Path,
    shared: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    place: tuple[str, int, int],
) -> None:
    name, number, step = place
    whole = pairs.together(pairs.points(make_config, tmp_path / "whole", shared, RUNS))
    assert [(r.failure or {}).get("class") for r in whole.records] == [None, "diverged", None, None]
    often = [*shared, "runtime.checkpoint_minutes=0"]
    with monkeypatch.context() as patch:
        at_call(patch, name, number, die)
        with pytest.raises(Killed):
            pairs.together(pairs.points(make_config, tmp_path / "killed", often, RUNS))
    again = pairs.together(pairs.points(make_config, tmp_path / "killed", often, RUNS))
    assert outcome(again) == outcome(whole)
    assert [record.resumed for record in again.records] == [[step]] * len(RUNS)
    assert not list((tmp_path / "killed" / "work").glob("*/*"))


@pytest.mark.slow
def test_without_one_of_the_checkpoints_all_begin_anew(
    make_config: Make, tmp_path: Path, shared: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    often = [*shared, "runtime.checkpoint_minutes=0"]
    whole = pairs.together(pairs.points(make_config, tmp_path / "whole", shared, RUNS))
    configs = pairs.points(make_config, tmp_path / "killed", often, RUNS)
    with monkeypatch.context() as patch:
        at_call(patch, "training_step", 8, die)
        with pytest.raises(Killed):
            pairs.together(configs)
    work = tmp_path / "killed" / "work"
    (work / configs[0].runtime.point.run_id / "checkpoint.json").unlink()
    again = pairs.together(pairs.points(make_config, tmp_path / "killed", often, RUNS))
    assert outcome(again) == outcome(whole)
    assert not any(record.resumed for record in again.records)


def test_a_run_alone_does_not_take_up_what_a_group_has_kept(
    make_config: Make, tmp_path: Path, shared: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    often = [*shared, "runtime.checkpoint_minutes=0"]
    with monkeypatch.context() as patch:
        at_call(patch, "training_step", 8, die)
        with pytest.raises(Killed):
            pairs.together(pairs.points(make_config, tmp_path / "store", often, RUNS))
    record = pairs.alone(pairs.points(make_config, tmp_path / "store", often, RUNS[-1:])).records[0]
    assert record.failure is None
    assert not record.resumed  # its minutes would be the group's
    assert record.cost["minutes"] > 0


def test_ctrl_c_keeps_every_run_and_the_same_command_goes_on(
    make_config: Make, tmp_path: Path, shared: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = pairs.together(pairs.points(make_config, tmp_path / "whole", shared, RUNS))
    configs = pairs.points(make_config, tmp_path / "stopped", shared, RUNS)
    with monkeypatch.context() as patch:
        at_call(patch, "training_step", 8, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt, match="after step 8: the same command goes on from there"):
            pairs.together(configs)
    store = pairs.Store(configs[0].runtime.store)
    found = [store.get(config.runtime.point.run_id) for config in configs]
    assert [((r and r.failure) or {}).get("class") for r in found] == ["interrupted"] * len(RUNS)
    again = pairs.together(pairs.points(make_config, tmp_path / "stopped", shared, RUNS))
    assert outcome(again) == outcome(whole)
    assert [record.resumed for record in again.records] == [[8]] * len(RUNS)
