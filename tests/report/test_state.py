from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest

from tunesweep.report.state import DONE, FAILED, RUNNING, WAITING, Observer
from tunesweep.store import Store

STARTED = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def sweep(store, record):
    """A sweep of six points, none of which has a record; each is planned to take ten minutes."""

    def write(**more):
        names = [f"p{n}" for n in range(6)]
        point = {"config": {"runtime": {"force": False, "point": {"minutes": 10.0}}}}
        data = {"sweep_id": "s1", "started": STARTED.isoformat(), "members": names, "duplicates": 0}
        points = {name: point | {"name": f"r={name}"} for name in names}
        store.put_sweep("s1", data | {"points": points} | more)
        os.utime(store.path("sweeps", "s1"), (STARTED.timestamp(), STARTED.timestamp()))
        return store

    return write


@pytest.fixture
def end(store, record, failed):
    """Give a point its record, so many minutes after the sweep began."""

    def write(name, minutes=1.0, kind="", message="it broke"):
        made = record(name)
        if kind:
            made = failed(made, message)
            made.failure["class"] = kind
        store.put(made)
        at = STARTED.timestamp() + 60 * minutes
        os.utime(store.path("records", name), (at, at))

    return write


def after(minutes):
    return STARTED + timedelta(minutes=minutes)


def test_each_point_stands_where_its_record_and_its_lock_say(sweep, end, store):
    sweep()
    end("p0")
    end("p1", kind="diverged")
    end("p2", minutes=-5, kind="diverged")  # by an earlier command: this one carries it out again
    end("p3", minutes=-5, kind="integrity")  # which is not repeated
    with store.claim("p4"), store.claim("p0"):
        found = Observer(Store(store.root), "s1").state(after(2))
    expected = {"p0": DONE, "p1": FAILED, "p2": WAITING, "p3": FAILED, "p4": RUNNING, "p5": WAITING}
    assert found.points == expected
    assert (found.ended, found.total, found.complete, found.closed) == (3, 6, False, False)
    assert found.counts == "1 done, 1 running, 2 failed, 2 waiting"
    assert found.minutes == pytest.approx(2)
    assert found.failure == "lora r=8: diverged: it broke"
    assert Observer(Store(store.root), "s1").state(after(2)).points["p4"] == WAITING


def test_looking_takes_no_lock_away_and_makes_no_file(sweep, end, store):
    sweep()
    end("p0")
    with store.claim("p1"):
        pass
    before = sorted(path.relative_to(store.root) for path in store.root.rglob("*"))
    observer = Observer(Store(store.root), "s1")
    observer.state()
    with store.claim("p1", wait=False):  # nobody holds it any more
        assert observer.state().points["p1"] == RUNNING
    assert sorted(path.relative_to(store.root) for path in store.root.rglob("*")) == before


def test_a_forced_point_waits_until_it_has_a_new_record(sweep, end, store):
    forced = {"p0": {"name": "r", "config": {"runtime": {"force": True}}}}
    sweep(members=["p0"], points=forced)
    end("p0", minutes=-5)
    assert Observer(Store(store.root), "s1").state().points == {"p0": WAITING}
    end("p0", minutes=5)
    assert Observer(Store(store.root), "s1").state().points == {"p0": DONE}


def test_what_is_left_goes_by_the_plan_and_then_by_what_has_ended(sweep, end, store):
    sweep()
    observer = Observer(Store(store.root), "s1")
    assert observer.state(after(3)).left == pytest.approx(60 - 3)
    with store.claim("p4"), store.claim("p5"):
        assert observer.state(after(3)).left == pytest.approx(60 / 2 - 3)
    end("p0", minutes=4)
    end("p1", minutes=6)  # two of six in six minutes: eighteen in all
    assert observer.state(after(7)).left == pytest.approx(18 - 7)
    assert observer.state(after(40)).left == 0
    uneven = {f"p{n}": {"config": {"runtime": {"point": {"minutes": m}}}} for n, m in enumerate((1, 1, 8))}
    sweep(members=["p0", "p1", "p2"], points=uneven)
    assert Observer(Store(store.root), "s1").state(after(6)).left == pytest.approx(6 * 10 / 2 - 6)
    sweep(points={})
    unplanned = Observer(Store(store.root), "s1")
    assert unplanned.state(after(6)).left == pytest.approx(18 - 6)
    for name in ("p0", "p1"):
        store.path("records", name).unlink()
    assert unplanned.state(after(6)).left is None


def test_a_search_has_more_points_than_it_has_proposed(sweep, end, store):
    sweep(members=["p0", "p1"], search={"total": 8})
    end("p0")
    end("p1")
    found = Observer(Store(store.root), "s1").state(after(2))
    assert (found.ended, found.total, found.complete) == (2, 8, False)
    assert found.counts == "2 done, 6 waiting"
    assert found.left == pytest.approx(1 * 8 / 2 - 2)


def test_a_report_that_was_written_last_closes_it(sweep, end, store):
    sweep()
    end("p0", minutes=1)
    report = store.path("reports", "s1").with_suffix(".md")
    report.parent.mkdir()
    report.write_text("")
    os.utime(report, (STARTED.timestamp() + 30, STARTED.timestamp() + 30))
    observer = Observer(Store(store.root), "s1")
    assert not observer.state().closed
    os.utime(report, (STARTED.timestamp() + 90, STARTED.timestamp() + 90))
    found = observer.state()
    assert (found.closed, found.complete, found.over) == (True, False, True)
    with store.claim("p3"):
        assert not observer.state().closed


def test_torn_files_are_no_end_of_it(sweep, end, store):
    sweep()
    end("p0")
    store.path("records", "p1").write_text('{"run_id": "p1", "stat')
    observer = Observer(Store(store.root), "s1")
    assert observer.state(after(2)).points["p1"] == WAITING
    store.path("sweeps", "s1").write_text('{"members": ["p0", ')
    found = observer.state(after(2))
    assert (found.ended, found.total) == (1, 6)  # as it was
    end("p1")
    assert observer.state(after(2)).ended == 2
    nothing = Observer(Store(store.root), "s1").state()
    assert (nothing.total, nothing.minutes, nothing.failure) == (0, None, "")


def test_a_record_that_has_not_changed_is_not_read_again(sweep, end, store, monkeypatch):
    sweep()
    end("p0")
    end("p1")
    observer, read = Observer(Store(store.root), "s1"), []
    original = Store.get
    monkeypatch.setattr(Store, "get", lambda self, name: read.append(name) or original(self, name))
    for _ in range(3):
        observer.state()
    assert read == ["p0", "p1"]
    end("p1", minutes=2, kind="diverged")
    read.clear()
    assert observer.state().points["p1"] == FAILED
    assert read == ["p1"]


def test_its_mark_changes_with_every_record_and_with_the_sweep(sweep, end, store):
    sweep()
    end("p0")
    observer = Observer(Store(store.root), "s1")
    first = observer.mark()
    assert observer.mark() == first
    end("p1")
    second = observer.mark()
    assert second != first
    sweep(members=["p0"])
    os.utime(store.path("sweeps", "s1"))
    assert observer.mark() != second
