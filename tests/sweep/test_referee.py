"""What is decided about a point by what the store says, without any worker."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from command_line import fail, succeed
from tunesweep import brake, identity
from tunesweep.config import RunConfig
from tunesweep.errors import StorageError
from tunesweep.store import Busy, Store
from tunesweep.sweep.jobs import Job, Jobs, Loss
from tunesweep.sweep.referee import SweepReferee

Make = Callable[..., RunConfig]
JOB = Job(0, b"")
KILLED = Loss("lost", "its worker was ended by SIGKILL", "its last words")


@pytest.fixture
def point(make_config: Make) -> RunConfig:
    config = make_config("dataset=digits", "model=logistic", "method=full", "runtime.progress=true")
    identity.identify(config)
    return config


@pytest.fixture
def store(point: RunConfig) -> Store:
    return Store(point.runtime.store)


def test_a_point_that_nobody_touched_is_to_do(point: RunConfig, store: Store) -> None:
    store.put(fail(point))  # by an earlier command
    referee = SweepReferee(store, {0: point})
    assert not referee.busy(JOB)
    assert not referee.settled(JOB)


def test_a_point_that_is_held_is_busy_until_it_is_let_go(
    point: RunConfig, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    referee = SweepReferee(store, {0: point})
    with store.claim(point.runtime.point.run_id):
        assert [referee.busy(JOB), referee.busy(JOB)] == [True, True]
    assert not referee.busy(JOB)
    assert capsys.readouterr().err.count("another process is carrying it out") == 1


def test_a_store_that_cannot_be_written_to_is_for_the_worker_to_say(
    point: RunConfig, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise StorageError("read only")

    referee = SweepReferee(store, {0: point})
    monkeypatch.setattr(store, "claim", broken)
    monkeypatch.setattr(brake, "not_started", broken)
    assert not referee.busy(JOB)
    assert not referee.settled(JOB)


@pytest.mark.parametrize(
    ("kind", "force", "settled"),
    [
        (None, False, True),
        (None, True, True),  # forced by both: once is enough
        ("diverged", False, True),
        ("integrity", True, True),
        ("interrupted", False, False),
        ("lost", False, False),
        ("not started", False, False),
    ],
)
def test_what_another_process_did_meanwhile_counts_unless_it_came_to_no_end(
    point: RunConfig, store: Store, kind: str | None, force: bool, settled: bool
) -> None:
    point.runtime.force = force
    store.put(succeed(point) if force else fail(point))
    referee = SweepReferee(store, {0: point})
    store.put(fail(point, kind) if kind else succeed(point))
    assert referee.settled(JOB) is settled


def test_a_success_of_before_is_repeated_by_force_alone(point: RunConfig, store: Store) -> None:
    store.put(succeed(point))
    assert SweepReferee(store, {0: point}).settled(JOB)
    point.runtime.force = True
    assert not SweepReferee(store, {0: point}).settled(JOB)


def test_a_lost_point_is_tried_once_more_and_then_recorded(
    point: RunConfig, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    referee = SweepReferee(store, {0: point})
    assert referee.lost(JOB, KILLED)
    assert store.get(point.runtime.point.run_id) is None
    assert "its worker was ended by SIGKILL; it is tried again" in capsys.readouterr().err
    assert not referee.lost(JOB, KILLED)
    record = store.get(point.runtime.point.run_id)
    assert record is not None
    assert record.failure == {"class": "lost", "message": KILLED.message, "log": "its last words"}


def test_a_timeout_is_not_tried_again(point: RunConfig, store: Store) -> None:
    assert not SweepReferee(store, {0: point}).lost(JOB, Loss("timeout", "too long", ""))
    record = store.get(point.runtime.point.run_id)
    assert record is not None
    assert (record.failure or {})["class"] == "timeout"


def test_a_worker_lost_after_its_record_costs_nothing(point: RunConfig, store: Store) -> None:
    jobs = Jobs([JOB], SweepReferee(store, {0: point}))
    job = jobs.next()
    assert job is JOB
    store.put(succeed(point))
    jobs.lost(job, KILLED)
    assert not jobs.left
    assert jobs.losses == {}  # what is told as an error takes the place of a result
    record = store.get(point.runtime.point.run_id)
    assert record is not None
    assert record.status == "succeeded"


def test_a_loss_after_an_interruption_elsewhere_is_a_loss(point: RunConfig, store: Store) -> None:
    referee = SweepReferee(store, {0: point})
    store.put(fail(point, "interrupted"))
    assert not referee.settled(JOB)
    assert referee.lost(JOB, KILLED)


def test_a_loss_on_a_full_disk_is_said_and_the_others_go_on(
    point: RunConfig, store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise StorageError("no space is left")

    monkeypatch.setattr(store, "put", full)
    referee = SweepReferee(store, {0: point})
    assert not referee.lost(JOB, Loss("timeout", "too long", ""))
    assert "no space is left" in capsys.readouterr().err


def test_only_a_refused_claim_makes_a_job_wait(point: RunConfig, store: Store) -> None:
    class Answer:
        def __init__(self, value: object) -> None:
            self._return_value = value

    referee = SweepReferee(store, {0: point})
    assert referee.refused(JOB, Answer(Busy("x")))
    assert not referee.refused(JOB, Answer(OSError("x")))
    assert not referee.refused(JOB, Answer(0.5))
