from __future__ import annotations

import errno
import fcntl
import json
import multiprocessing
import os
import signal
import tempfile
import time
from pathlib import Path

import pytest

from tunesweep.errors import BadConfig, StorageError
from tunesweep.record import RunRecord
from tunesweep.store import Store


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "multirun")


def record(run_id: str = "a1", **values) -> RunRecord:
    return RunRecord(run_id, "succeeded", "s1", "lora", {"seed": 0}, **values)


def names(store: Store, kind: str) -> list[str]:
    return sorted(path.name for path in (store.root / kind).iterdir())


def test_a_record_comes_back_as_it_was_put(store):
    kept = record(metrics={"test": {"accuracy": 0.1 + 0.2}}, warnings=["é"])
    store.put(kept)
    assert store.get("a1") == kept
    assert store.records() == [kept]
    assert names(store, "records") == ["a1.json"]


def test_what_is_not_there_is_none_and_no_problem(store):
    assert (store.get("a1"), store.get_sweep("s1"), store.last_sweep()) == (None, None, None)
    assert (store.records(), store.problems) == ([], [])


@pytest.mark.parametrize("name", ["", "../a", "a/b", ".", "a.b", "a\n", "ä", "a b"])
def test_a_name_never_leaves_its_folder(store, name):
    with pytest.raises(StorageError, match="is not the id of a run"):
        store.path("records", name)


def test_an_unknown_kind_lists_the_kinds(store):
    with pytest.raises(BadConfig, match="did you mean 'records'"):
        store.path("record", "a1")


def test_paths_are_those_of_the_layout(store):
    kinds = ("records", "predictions", "adapters", "sweeps", "locks", "reports")
    found = [str(store.path(kind, "a1").relative_to(store.root)) for kind in kinds]
    assert found == [
        "records/a1.json",
        "predictions/a1.parquet",
        "adapters/a1",
        "sweeps/a1.json",
        "locks/a1.lock",
        "reports/a1",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"run_id": "a1", "sta',
        "[]",
        '{"schema_version": 1}',
        record().to_json().replace('"schema_version": 3', '"schema_version": 0'),
        "[" * 100_000,
        record().to_json().replace('"metrics": {}', '"metrics": null'),
        record("b2").to_json(),
        "\x00\x00",
    ],
)
def test_an_unreadable_record_is_absent_named_and_kept_aside(store, text):
    path = store.path("records", "a1")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert store.get("a1") is None
    assert store.records() == []
    assert len(store.problems) == 1
    assert f"{path} is not a readable record" in store.problems[0]
    store.put(record())
    assert store.get("a1") == record()
    assert path.with_name("a1.json.broken").read_text() == text


def test_bytes_that_are_no_text_are_a_problem_too(store):
    path = store.path("records", "a1")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\xff\xfe\x00")
    assert store.get("a1") is None
    assert len(store.problems) == 1


@pytest.mark.parametrize("stage", ["fsync", "replace"])
def test_a_full_disk_is_one_sentence_and_loses_nothing(store, monkeypatch, stage):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    store.put(record())
    monkeypatch.setattr(os, stage, full)
    with pytest.raises(
        StorageError, match=r"a1.json cannot be written \(No space left on device\): free some"
    ):
        store.put(record(warnings=["new"]))
    assert store.get("a1") == record()
    assert names(store, "records") == ["a1.json"]


def test_a_store_that_is_a_file_is_refused_before_the_sweep(store):
    store.check_writable()
    assert {path.name for path in store.root.iterdir()} >= {"records", "sweeps", "locks", "reports"}
    assert not list((store.root / "records").iterdir())
    store.root.with_name("file").write_text("")
    other = Store(store.root.with_name("file"))
    with pytest.raises(StorageError, match="file/records cannot be written"):
        other.check_writable()
    with pytest.raises(StorageError, match="cannot be written"), other.claim("a1"):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the device of a full disk is Linux's")
def test_a_full_disk_is_noticed_before_the_sweep(store, monkeypatch):
    def full(dir):
        return Path("/dev/full").open("wb")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(StorageError, match="No space left on device"):
        store.check_writable()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_without_permission_is_refused(store):
    store.check_writable()
    (store.root / "records").chmod(0o500)
    with pytest.raises(StorageError, match="records cannot be written"):
        store.check_writable()
    with pytest.raises(StorageError, match="Permission denied"):
        store.put(record())


def test_the_last_sweep_is_the_one_started_last(store):
    for sweep_id, started in (("zz", "2026-01-01T00:00:00+00:00"), ("aa", "2026-03-01T00:00:00+00:00")):
        store.put_sweep(sweep_id, {"sweep_id": sweep_id, "started": started, "members": ["b", "a"]})
    assert store.last_sweep() == "aa"
    assert store.sweeps() == ["zz", "aa"]
    assert store.get_sweep("zz")["members"] == ["b", "a"]


@pytest.mark.parametrize("text", ["{", "[]", '{"sweep_id": "s1"}'])
def test_an_unreadable_sweep_is_named_and_passed_over(store, text):
    store.put_sweep("s1", {"started": "2026", "members": []})
    store.path("sweeps", "s2").write_text(text)
    assert store.last_sweep() == "s1"
    assert "s2.json is not a readable sweep" in store.problems[0]


def _hold(root: Path, ready) -> None:
    with Store(root).claim("a1"):
        ready.set()
        time.sleep(60)


def _free(store: Store) -> bool:
    with store.path("locks", "a1").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def test_a_claim_holds_and_is_released(store):
    with store.claim("a1"):
        assert not _free(store)
    assert _free(store)


def test_a_claim_dies_with_its_process(store):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_hold, args=(store.root, ready))
    process.start()
    try:
        assert ready.wait(30)
        assert not _free(store)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    assert _free(store)


def test_a_file_system_without_locks_goes_on_unlocked(store, monkeypatch):
    def none(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with store.claim("a1"):
        reached = True
    assert reached


def test_another_failure_of_the_lock_is_a_sentence(store, monkeypatch):
    def broken(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", broken)
    with pytest.raises(StorageError, match="Input/output error"), store.claim("a1"):
        pass


def test_an_error_inside_a_claim_comes_out_as_it_is(store):
    with pytest.raises(OSError, match="mine"), store.claim("a1"):
        raise OSError(errno.ENOSPC, "mine")
    assert _free(store)


@pytest.mark.parametrize(
    ("key", "value"),
    [("status", "running"), ("failure", "integrity"), ("metrics", {"test": 3}), ("metrics", {"select": [1]})],
)
def test_a_record_by_another_hand_is_absent_and_named(store, key, value):
    store.put(record())
    path = store.path("records", "a1")
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    assert store.get("a1") is None
    assert f"its {key}" in store.problems[0]


def test_a_history_of_numbers_is_no_history(store):
    store.put(record())
    path = store.path("records", "a1")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"history": [0.3, 0.2]}))
    assert store.get("a1") is None
    assert "the entries of its history are not of type dict" in store.problems[0]


@pytest.mark.parametrize(
    "data",
    [
        {"members": [5]},
        {"members": [], "points": [1]},
        {"members": [], "points": {"a1": {"labels": 5}}},
        {"members": [], "duplicates": "many"},
        {"members": [], "command": 5},
        {"members": [], "report": "all"},
        {"members": [], "report": {"tuning": [5]}},
    ],
)
def test_a_sweep_by_another_hand_is_absent_and_named(store, data):
    store.put_sweep("s1", data)
    assert store.get_sweep("s1") is None
    assert "s1.json is not a readable sweep" in store.problems[0]
