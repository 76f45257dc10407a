"""Many failures of one class in a row stop a sweep, whatever launcher carries it."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from command_line import fail, succeed
from tunesweep import brake, identity, point
from tunesweep.config import RunConfig
from tunesweep.record import RunRecord
from tunesweep.store import Store

Make = Callable[..., RunConfig]
BAD, GOOD = "diverged", ""
STARTED = datetime(2026, 1, 1, tzinfo=UTC)


class Running:
    """A sweep whose runs leave records, a second apart."""

    def __init__(self, make_config: Make) -> None:
        self.point = make_config("dataset=digits", "model=logistic", "method=full", "runtime.stop_after=3")
        identity.identify(self.point)
        self.point.runtime.point.sweep_id, self.seconds = "s1", 0
        self.store = Store(self.point.runtime.store)
        self.store.put_sweep("s1", {"members": [], "started": STARTED.isoformat()})

    def leave(self, *kinds: str, after_s: int = 0, sweep_id: str = "s1") -> None:
        for kind in kinds:
            self.seconds += 1
            record = fail(self.point, kind) if kind else succeed(self.point)
            record.run_id, record.sweep_id = f"{'ba'[self.seconds % 2]}{self.seconds}", sweep_id
            self.store.put(record)
            when = STARTED.timestamp() + self.seconds + after_s
            os.utime(self.store.path("records", record.run_id), (when, when))

    def check(self) -> RunRecord | None:
        return brake.not_started(self.point, self.store)


@pytest.fixture
def running(make_config: Make) -> Running:
    return Running(make_config)


@pytest.mark.parametrize(
    ("kinds", "stopped"),
    [
        ([BAD, BAD], False),
        ([BAD, BAD, BAD], True),
        ([BAD, BAD, GOOD, BAD], False),
        ([GOOD, BAD, BAD, BAD], True),
        ([BAD, BAD, "bug"], False),
        (["bug", BAD, BAD, BAD], True),
        ([BAD, BAD, "interrupted", BAD], True),  # says nothing of the others
        (["source failed"] * 3, False),
        (["lost", "lost", "lost"], True),
        ([BAD, BAD, BAD, "not started"], True),
    ],
)
def test_so_many_of_one_class_in_a_row_stop_the_sweep(
    running: Running, kinds: list[str], stopped: bool
) -> None:
    running.leave(*kinds)
    record = running.check()
    assert (record is not None) is stopped
    assert running.store.get(running.point.runtime.point.run_id) == record


def test_the_record_says_why_and_what_helps(running: Running) -> None:
    running.leave(BAD, BAD, BAD)
    record = running.check()
    assert record is not None
    assert (record.failure or {})["class"] == "not started"
    assert (record.failure or {})["message"] == (
        "3 runs in a row failed in one way (diverged), so no more were started: "
        "repair that, or set runtime.stop_after=null"
    )


def test_null_never_stops(running: Running) -> None:
    running.leave(*[BAD] * 9)
    running.point.runtime.stop_after = None
    assert running.check() is None


def test_what_was_before_the_command_or_is_of_another_sweep_does_not_count(running: Running) -> None:
    running.leave(BAD, BAD, after_s=-3600)
    running.leave(BAD, sweep_id="s2")
    running.leave(BAD, BAD)
    assert running.check() is None
    running.leave(BAD)
    assert running.check() is not None


def test_a_success_of_an_earlier_command_stays(running: Running) -> None:
    success = succeed(running.point)
    running.store.put(success)
    os.utime(running.store.path("records", success.run_id), (0, 0))
    running.leave(BAD, BAD, BAD)
    assert running.check() == success
    assert running.store.get(success.run_id) == success


def test_a_point_asks_before_it_begins(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def attempt(*_: object) -> RunRecord:
        raise AssertionError("it began")

    monkeypatch.setattr(point, "attempt", attempt)
    running.leave(BAD, BAD, BAD)
    assert (point.run(running.point).failure or {})["class"] == "not started"
