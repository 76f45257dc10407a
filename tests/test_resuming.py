"""A run that is stopped and taken up again is the run that nobody stopped, to the bit."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import samples
from tunesweep import random_states, stages
from tunesweep.errors import Interrupted, TimedOut
from tunesweep.methods.artefact import trained_state
from tunesweep.point import run
from tunesweep.positions import steps_per_epoch
from tunesweep.record import RunRecord
from tunesweep.resuming import Keeper
from workplace import DIGITS, attached, tiny

Place = tuple[int, int]  # whole epochs, and optimiser steps of the one that is going on
LAST = -1  # after the last step of an epoch, before its score
MLP = ("model=mlp", *DIGITS, "dataset.limit.train=72", "dataset.limit.test=40", "dataset.limit.select=20")
SMALL = ("train.batch_size=32", "train.epochs=3", "model.hidden=[16]", "train.lr=1e-3")
STEPS = 3  # of an epoch: two whole batches and one of eight


def trained(config: Any) -> tuple[dict[str, torch.Tensor], RunRecord, list[float]]:
    """Train; return the weights, the record, and what every generator draws next."""
    with attached(config) as work:
        stages.train(work)
        drawn = [random.random(), float(np.random.rand()), float(torch.rand(()))]
        return trained_state(work.network), work.record, drawn


_WHOLE: dict[tuple[str, ...], Any] = {}


def undisturbed(make_config: Any, *words: str) -> Any:
    """Return what comes of training that nobody stops; asked for once."""
    if words not in _WHOLE:
        _WHOLE[words] = trained(make_config(*words))
    return _WHOLE[words]


def slow(*values: Any) -> Any:
    return pytest.param(*values, marks=pytest.mark.slow)


def stop_at(monkeypatch: pytest.MonkeyPatch, *places: Place) -> None:
    """Ask for an end, as a signal would, the first time that training comes to each of these places."""
    left, between = list(places), Keeper._between_steps

    def asked(keeper: Keeper, trainer: Any, learner: Any, within: int) -> None:
        last = within == steps_per_epoch(learner.data.batches)
        here = (trainer.current_epoch, LAST if last else within)
        if left and here == left[0]:
            keeper.watches.stop(signal.SIGINT, None)
            left.pop(0)
        between(keeper, trainer, learner, within)

    monkeypatch.setattr(Keeper, "_between_steps", asked)


def interrupted(config: Any, *steps: int) -> None:
    """Begin, or go on, and be stopped after each of these steps."""
    for step in steps:
        with pytest.raises(Interrupted, match=f"after step {step}: the same command goes on from there"):
            trained(config)


def same(one: Any, other: Any) -> None:
    """Compare all but what is measured."""
    (weights, record, drawn), (weights_2, record_2, drawn_2) = one, other
    assert weights.keys() == weights_2.keys()
    assert all(torch.equal(weights[name], weights_2[name]) for name in weights)
    assert record.history == record_2.history
    assert record.metrics == record_2.metrics
    assert record.cost["epochs"] == record_2.cost["epochs"]
    assert drawn == drawn_2


@pytest.mark.parametrize(
    ("place", "step", "micro"),
    [
        *(slow((0, 1), 1, 12), ((0, LAST), 3, 32), ((1, 0), 3, 12)),
        *(((1, 2), 5, 12), slow((2, 0), 6, 32), ((2, LAST), 9, 12)),
    ],
)
def test_it_goes_on_from_any_place(make_config, monkeypatch, place, step, micro):
    words = (*MLP, *SMALL, f"runtime.micro_batch={micro}")
    whole = undisturbed(make_config, *words)
    stop_at(monkeypatch, place)
    interrupted(make_config(*words), step)
    again = trained(make_config(*words))
    same(whole, again)
    assert (whole[1].resumed, again[1].resumed) == ([], [step])


BERT = ("train.batch_size=8", "train.epochs=3", "runtime.micro_batch=3", "train.dropout=0.1", "train.lr=1e-2")
METHODS = {
    "lora": ("method=lora", "lora.r=2", "lora.dropout=0.2"),
    "full": ("method=full", "train.schedule=cosine", "train.lr=1e-3"),
    "adalora": ("method=adalora", "lora.r=2"),
    "bottleneck": ("method=bottleneck",),
}


@pytest.mark.parametrize("method", ["lora", slow("adalora"), slow("full"), slow("bottleneck")])
def test_methods_go_on(make_config, monkeypatch, tmp_path, method):
    words = (*tiny("random_bert"), *samples.films(tmp_path), *BERT, *METHODS[method])
    whole = undisturbed(make_config, *words)
    with attached(make_config(*words)) as work:
        steps = steps_per_epoch(work.data.batches)
    assert steps > 3
    stop_at(monkeypatch, (0, 2), (0, LAST), (1, 3), (2, 0))
    places = (2, steps, steps + 3, 2 * steps)
    interrupted(make_config(*words), *places)
    again = trained(make_config(*words))
    same(whole, again)
    assert again[1].resumed == list(places)


def test_states_of_eight_bits_go_on(make_config, monkeypatch):
    words = (*MLP, *SMALL, "model.hidden=[256]", "train.optimizer=adamw_8bit")
    whole = undisturbed(make_config, *words)
    stop_at(monkeypatch, (0, 2), (1, LAST))
    interrupted(make_config(*words), 2, 6)
    same(whole, trained(make_config(*words)))


def test_patience_goes_on(make_config, monkeypatch):
    """At this rate nothing is learned, and the third epoch without a better one is the last."""
    words = (*MLP, *SMALL, "train.epochs=9", "train.lr=1e-9", "train.patience=2", "train.monitor=accuracy")
    whole = undisturbed(make_config, *words)
    assert whole[1].cost["epochs"] == 3
    stop_at(monkeypatch, (1, 1), (2, LAST))
    interrupted(make_config(*words), 4, 9)
    same(whole, trained(make_config(*words)))


def test_a_training_that_has_ended_is_not_repeated(make_config, monkeypatch):
    words = (*MLP, *SMALL)
    whole = undisturbed(make_config, *words)
    monkeypatch.setattr(stages, "evaluate", lambda _: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        run(make_config(*words))
    monkeypatch.setattr(Keeper, "on_train_start", None)  # nothing is trained
    with attached(make_config(*words)) as work:
        stages.train(work)
        again = trained_state(work.network)
    assert all(torch.equal(again[name], whole[0][name]) for name in again)
    assert work.record.history == whole[1].history
    assert work.record.resumed == [9]
    assert not work.folder.exists()


def test_measures_are_of_all_attempts(make_config, monkeypatch):
    config = make_config(*MLP, *SMALL)
    stop_at(monkeypatch, (2, 0))
    interrupted(config, 6)
    with attached(config) as work:
        assert work.kept is not None
        work.kept.watch["seconds"] += 60
        work.kept.minutes += 7
        work.kept.memory["peak_memory_bytes"] *= 10
        peak = work.kept.memory["peak_memory_bytes"]
        stages.train(work)
    cost = work.record.cost
    assert cost["epochs"] == 3
    assert 60 < 60 * 3 * cost["minutes_per_epoch"] < 90
    assert 7 < cost["minutes"] < 9
    assert cost["peak_memory_bytes"] == peak


def test_time_is_over_between_two_steps(make_config):
    config = make_config(*MLP, *SMALL, "runtime.timeout_minutes=1e-6")
    said = r"runtime\.timeout_minutes=1e-06: stopped after step 0: the same command begins it anew"
    with pytest.raises(TimedOut, match=said):
        trained(config)


@pytest.mark.parametrize("harm", ["notes", "state", "best", slow("cut"), slow("layout"), slow("other")])
def test_a_checkpoint_that_cannot_be_believed_is_passed_over(make_config, monkeypatch, harm):
    words = (*MLP, *SMALL)
    whole = undisturbed(make_config, *words)
    stop_at(monkeypatch, (1, 1))
    config = make_config(*words)
    interrupted(config, 4)
    HARMS[harm](Path(config.runtime.store) / "work" / config.runtime.point.run_id)
    again = trained(config)
    same(whole, again)
    assert again[1].resumed == []
    assert sum("was passed over" in warning for warning in again[1].warnings) == 1


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _edit(folder: Path, old: str, new: str) -> None:
    text = (folder / "checkpoint.json").read_text()
    assert old in text
    (folder / "checkpoint.json").write_text(text.replace(old, new))


HARMS: dict[str, Callable[[Path], None]] = {
    "notes": lambda folder: _edit(folder, '"step": 4', '"step": 5'),
    "state": lambda folder: _flip(folder / "state-1-1.pt"),
    "best": lambda folder: _flip(next(folder.glob("best-*"))),
    "cut": lambda folder: (folder / "checkpoint.json").write_text('{"sha'),
    "layout": lambda folder: _edit(folder, '"layout": 1', '"layout": 0'),
    "other": lambda folder: (folder / "state-1-1.pt").unlink(),
}


def test_a_forced_run_goes_on_from_its_own_command_alone(make_config, monkeypatch):
    stop_at(monkeypatch, (0, 1), (1, 1))
    config = make_config(*MLP, *SMALL, "runtime.force=true")
    config.runtime.point.command = "one"
    interrupted(config, 1)
    again = make_config(*MLP, *SMALL, "runtime.force=true")
    again.runtime.point.command = "one"
    interrupted(again, 4)
    other = make_config(*MLP, *SMALL, "runtime.force=true")
    other.runtime.point.command = "two"
    assert trained(other)[1].resumed == []


def test_every_generator_is_restored():
    states = random_states.capture()

    def draw() -> tuple[float, float, float]:
        return random.random(), float(np.random.normal()), float(torch.rand(()))

    first = [draw() for _ in range(3)]
    random_states.restore(states)
    assert [draw() for _ in range(3)] == first
