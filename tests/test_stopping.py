"""Signals and the clock end training between two steps; kill -9 loses what came after the last checkpoint."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from test_resuming import MLP, SMALL, interrupted, same, slow, stop_at, trained, undisturbed
from tunesweep import stages
from tunesweep import store as storage
from tunesweep.checkpoint import NOTES
from tunesweep.errors import Interrupted, StorageError, TimedOut
from tunesweep.methods.artefact import trained_state
from tunesweep.point import run
from tunesweep.resuming import Keeper
from tunesweep.stopping import Stop
from tunesweep.store import Store
from tunesweep.tasks.learner import Learner
from workplace import attached

BOTH = (signal.SIGINT, signal.SIGTERM)


@pytest.mark.parametrize("number", BOTH)
def test_one_signal_is_remembered_and_a_second_one_ends_at_once(number, capfd):
    before = [signal.getsignal(each) for each in BOTH]
    stop = Stop(None, 0.0)
    with stop.heard():
        assert not stop.wanted
        signal.raise_signal(number)
        assert stop.wanted
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert [signal.getsignal(each) for each in BOTH] == before
    assert isinstance(stop.error("after step 1"), Interrupted)
    assert capfd.readouterr().err.count("once more stops at once") == 1


def test_a_worker_leaves_the_word_to_its_parent(capfd, monkeypatch):
    monkeypatch.setattr(Stop, "aloud", False)
    stop = Stop(None, 0.0)
    stop(signal.SIGTERM, None)
    assert stop.wanted
    assert capfd.readouterr().err == ""


def test_a_terminal_and_a_parent_may_both_ask():
    stop = Stop(None, 0.0)
    with stop.heard():
        for number in BOTH:
            signal.raise_signal(number)
    assert stop.wanted


def test_signals_are_left_alone_outside_of_the_main_thread():
    before, errors = signal.getsignal(signal.SIGINT), list[BaseException]()

    def work() -> None:
        try:
            with Stop(None, 0.0).heard():
                assert signal.getsignal(signal.SIGINT) is before
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert errors == []


def test_the_clock_counts_from_the_beginning_of_the_point():
    assert not Stop(1.0, time.perf_counter() - 59).wanted
    assert not Stop(None, 0.0).wanted
    late = Stop(1.0, time.perf_counter() - 61)
    assert late.wanted
    assert isinstance(late.error("after step 1"), TimedOut)


@pytest.mark.parametrize("number", BOTH)
def test_a_signal_in_a_step_ends_the_point_after_it(make_config, monkeypatch, number):
    step, calls = Learner.training_step, [0]

    def pressed(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == 5:  # the first micro-batch of the second step
            signal.raise_signal(number)
        return step(*arguments)

    monkeypatch.setattr(Learner, "training_step", pressed)
    before = [signal.getsignal(each) for each in BOTH]
    words = (*MLP, *SMALL, "runtime.micro_batch=8")
    with pytest.raises(KeyboardInterrupt, match="stopped after step 2: the same command goes on from there"):
        run(make_config(*words))
    assert calls == [8]
    assert [signal.getsignal(each) for each in BOTH] == before
    config = make_config(*words)
    store = Store(config.runtime.store)
    again = run(config)
    assert (again.status, again.resumed) == ("succeeded", [2]), again.failure
    assert calls == [27]  # nine micro-batches an epoch, and none twice
    assert list((store.root / "work").iterdir()) == []


def test_an_interrupted_point_has_a_record(make_config, monkeypatch):
    stop_at(monkeypatch, (0, 2))
    config = make_config(*MLP, *SMALL)
    with pytest.raises(KeyboardInterrupt):
        run(config)
    record = Store(config.runtime.store).get(config.runtime.point.run_id)
    assert record is not None
    assert record.failure is not None
    assert record.failure["class"] == "interrupted"
    assert record.failure["message"] == "stopped after step 2: the same command goes on from there"


@pytest.mark.parametrize(
    ("error", "stays"),
    [(KeyboardInterrupt(), True), slow(MemoryError(), True), (ZeroDivisionError(), False)],
)
def test_a_checkpoint_stays_where_going_on_can_help(make_config, monkeypatch, error, stays):
    step, calls = Learner.training_step, [0]

    def failing(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] >= 5:
            raise error
        return step(*arguments)

    monkeypatch.setattr(Learner, "training_step", failing)
    config = make_config(*MLP, *SMALL, "runtime.checkpoint_minutes=0")
    with suppress(KeyboardInterrupt):
        assert run(config).failed
    folder = Store(config.runtime.store).path("work", config.runtime.point.run_id)
    assert (folder / NOTES).exists() is stays
    assert folder.exists() is stays


def test_a_checkpoint_outlives_what_fails_before_training(make_config, monkeypatch):
    words = (*MLP, *SMALL)
    stop_at(monkeypatch, (0, 1))
    interrupted(make_config(*words), 1)
    with monkeypatch.context() as patch:
        patch.setattr(stages, "load_network", lambda _: 1 / 0)
        assert run(make_config(*words)).failed
    assert trained(make_config(*words))[1].resumed == [1]


def killed(config: Any, prepare: Callable[[], None]) -> None:
    """Train in a process of its own, which kills itself."""

    def work() -> None:
        prepare()
        trained(config)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def kill_at(place: tuple[int, int]) -> Callable[[], None]:
    """Die when training comes to a place, before anything of it is kept."""

    def prepare() -> None:
        between = Keeper._between_steps

        def deadly(keeper: Keeper, trainer: Any, learner: Any, within: int) -> None:
            if (trainer.current_epoch, within) == place:
                os.kill(os.getpid(), signal.SIGKILL)
            between(keeper, trainer, learner, within)

        Keeper._between_steps = deadly  # type: ignore[method-assign]

    return prepare


def kill_before_rename(number: int) -> Callable[[], None]:
    """Die when a checkpoint is whole but for its name."""

    def prepare() -> None:
        replace, calls = os.replace, [0]

        def deadly(*arguments: Any) -> None:
            calls[0] += 1
            if calls[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)
            replace(*arguments)

        storage.os.replace = deadly  # type: ignore[attr-defined]

    return prepare


@pytest.mark.parametrize(
    ("prepare", "step"),
    [(kill_at((1, 2)), 4), (kill_at((2, 1)), 6), (kill_before_rename(1), 0), (kill_before_rename(6), 2)],
    ids=["in an epoch", "in its first step", "before the first name", "before a name"],
)
def test_kill_9_loses_what_came_after_the_last_checkpoint(make_config, prepare, step):
    words = (*MLP, *SMALL)
    whole = undisturbed(make_config, *words)
    config = make_config(*words, "runtime.checkpoint_minutes=0")
    killed(config, prepare)
    again = trained(make_config(*words))
    same(whole, again)
    assert again[1].resumed == ([step] if step else [])


def test_a_checkpoint_that_cannot_be_written_ends_nothing(make_config, monkeypatch):
    def full(path: Path, _: str) -> None:
        raise StorageError(f"{path.name} cannot be written (No space left on device)")

    config = make_config(*MLP, *SMALL, "runtime.checkpoint_minutes=0")
    whole = undisturbed(make_config, *MLP, *SMALL)
    with monkeypatch.context() as patch, attached(config) as work:
        patch.setattr(storage, "write", full)
        stages.train(work)
        assert not list(work.folder.glob("state-*"))
        found = trained_state(work.network), work.record, whole[2]
    same(whole, found)
    assert sum("No space left on device" in warning for warning in found[1].warnings) == 1
    stop_at(monkeypatch, (0, 1))
    interrupted(make_config(*MLP, *SMALL), 1)
