"""`tunesweep gc` removes what nobody needs, says so, and nothing else."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from golden_store import DIVERGED, HEAD, LORA
from tunesweep.care.collect import collect, sources
from tunesweep.cli import app
from tunesweep.errors import BadConfig, StorageError
from tunesweep.record import RunRecord
from tunesweep.store import Store
from tunesweep.verify import verify

Tree = Callable[[Path], dict[str, tuple[bytes, int]]]
OLD = time.time() - 2 * 24 * 3600


def gc(store: Store, *words: str) -> Result:
    return CliRunner().invoke(app, ["gc", "--store", str(store.root), *words])


def make(store: Store, path: str, size: int = 10, old: bool = True) -> Path:
    file = store.root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x" * size)
    if old:
        os.utime(file, (OLD, OLD))
    return file


def fail(store: Store, run_id: str, kind: str) -> None:
    failure = {"class": kind, "message": "", "log": ""}
    store.put(RunRecord(run_id, "failed", "s", "lora", {}, failure=failure))


def removed(store: Store, **options: object) -> list[str]:
    return [store.relative(item.path) for item in collect(store, **options).removed]  # type: ignore[arg-type]


def litter(store: Store) -> dict[str, int]:
    """Leave behind one of each kind; return the paths, in order, that gc must name, with their sizes."""
    make(store, "work/dead/best.safetensors", 1000)
    make(store, "work/dead/artefact/trained.safetensors", 500)
    make(store, f"work/{LORA}/checkpoint.pt")  # of a run that has succeeded since
    make(store, "predictions/nobody.parquet", 70)
    make(store, f"predictions/{DIVERGED}.parquet", 30)  # its record is of a failure, which names no file
    make(store, "adapters/nobody/trained.safetensors", 80)
    make(store, "exports/nobody/model.safetensors", 90)
    make(store, "locks/dead.lock", 0)
    make(store, f"locks/{LORA}.lock", 0)
    make(store, "records/a.json.broken", 11)
    make(store, "work/b.broken/checkpoint.pt", 12)
    make(store, "records/.a.json.1.abcdef12.part", 13)
    make(store, f"predictions/{LORA}.part", 14)
    make(store, "exports/.dead-abcd1234/dead/model.safetensors", 15)
    os.utime(store.root / "exports/.dead-abcd1234/dead", (OLD, OLD))
    os.utime(store.root / "exports/.dead-abcd1234", (OLD, OLD))
    return {
        f"predictions/{DIVERGED}.parquet": 30,
        f"work/{LORA}": 10,
        f"locks/{LORA}.lock": 0,
        "work/dead": 1500,
        "locks/dead.lock": 0,
        "predictions/nobody.parquet": 70,
        "adapters/nobody": 80,
        "exports/nobody": 90,
        "records/.a.json.1.abcdef12.part": 13,
        "records/a.json.broken": 11,
        f"predictions/{LORA}.part": 14,
        "exports/.dead-abcd1234": 15,
        "work/b.broken": 12,
    }


def test_a_tidy_store_is_left_as_it_is(store: Store, tree: Tree) -> None:
    before = tree(store.root)
    result = gc(store)
    assert "0 B (0 bytes) in 0 files and folders removed" in result.stdout
    assert {k: v for k, v in tree(store.root).items() if k != "locks"} == before


def test_a_dry_run_says_all_and_changes_nothing(store: Store, tree: Tree) -> None:
    expected = litter(store)
    before = tree(store.root)
    result = gc(store, "--dry-run")
    assert result.exit_code == 0
    assert tree(store.root) == before
    lines = result.stdout.splitlines()
    named = dict(line.split(": ")[:2] for line in lines[:-1])
    assert named.keys() == {str(store.root / path) for path in expected}
    assert lines[
        -1
    ] == f"1.84 kB ({sum(expected.values()):,} bytes) in {len(expected)} files and folders " + (
        "would be removed"
    )


def test_what_was_said_is_removed_and_finished_runs_are_verified(store: Store, tree: Tree) -> None:
    before = set(tree(store.root))
    expected = litter(store)
    done = collect(store)
    assert {store.relative(item.path): item.size for item in done.removed} == expected
    assert (done.notes, done.problems) == ([], [])
    emptied = {"work", "exports", "locks"}
    assert set(tree(store.root)) - emptied == before
    assert verify(store, everything=True).problems == []
    assert removed(store) == []


@pytest.mark.parametrize("kind", ["interrupted", "lost", "timeout", "out_of_memory", "storage"])
def test_a_checkpoint_from_which_a_run_goes_on_stays_unless_asked_for(store: Store, kind: str) -> None:
    fail(store, "r", kind)
    make(store, "work/r/checkpoint.pt")
    assert removed(store) == []
    assert removed(store, checkpoints=True) == ["work/r"]


def test_a_checkpoint_of_a_killed_run_stays_and_of_a_bug_goes(store: Store) -> None:
    fail(store, "bug", "bug")
    make(store, "work/bug/checkpoint.pt")
    make(store, "work/killed/checkpoint.pt")
    make(store, "work/half/checkpoint.pt.part")
    assert removed(store) == ["work/bug", "work/half"]


def test_what_was_just_written_stays(store: Store) -> None:
    make(store, "records/.a.json.1.abcdef12.part", old=False)
    make(store, "exports/.r-abcd1234/r/model.safetensors", old=False)
    assert removed(store) == []


def test_a_run_that_is_going_on_keeps_all_and_its_lock(store: Store) -> None:
    make(store, "work/busy/best.safetensors")
    make(store, "adapters/busy/trained.safetensors")
    with store.claim("busy"):
        done = collect(store)
        assert done.removed == []
        assert "run busy is going on" in done.notes[0]
    assert removed(store) == ["work/busy", "adapters/busy", "locks/busy.lock"]


def test_who_waited_for_a_lock_that_gc_removed_shares_no_run(store: Store) -> None:
    """The waiter holds a file that has no name any more: it must lock the one that has it now."""
    lock = store.path("locks", "r")
    make(store, "locks/r.lock", 0)
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        code = f"with Store({str(store.root)!r}).claim('r'): print('in', flush=True); input()"
        words = [sys.executable, "-c", f"from tunesweep.store import Store\n{code}"]
        waiter = subprocess.Popen(words, stdin=-1, stdout=-1, text=True)
        assert waiter.stdin is not None
        assert waiter.stdout is not None
        time.sleep(3)  # until it waits
        lock.unlink()
    assert waiter.stdout.readline() == "in\n"
    assert any("is going on" in note for note in collect(store).notes)
    waiter.communicate("\n")
    assert waiter.returncode == 0


def test_links_are_neither_followed_nor_removed(store: Store, tmp_path: Path, tree: Tree) -> None:
    outside = tmp_path / "outside"
    for name in ("a", "b", "c"):
        (outside / name).mkdir(parents=True)
        (outside / name / "precious").write_text("x" * 100)
    (store.root / "work").mkdir()
    (store.root / "work" / "linked").symlink_to(outside / "a")
    make(store, "work/dead/best.safetensors", 7)
    (store.root / "work" / "dead" / "inside").symlink_to(outside / "b")
    (store.root / "exports").symlink_to(outside)
    before = tree(outside)
    done = collect(store)
    assert [store.relative(item.path) for item in done.removed] == ["work/dead"]
    assert done.size < 7 + 100  # the link's own few bytes
    assert sorted(done.notes) == [
        f"{store.root}/exports is a link: left alone",
        f"{store.root}/work/linked is a link: left alone",
    ]
    assert tree(outside) == before


def test_files_of_records_that_cannot_be_read_stay(store: Store) -> None:
    for run_id, text in (("torn", "{"), ("newer", '{"schema_version": 99}')):
        make(store, f"records/{run_id}.json").write_text(text)
        make(store, f"adapters/{run_id}/trained.safetensors")
    done = collect(store)
    assert [note.split(":")[0] for note in done.notes] == [
        "run newer is left alone",
        "run torn is left alone",
    ]
    assert (store.root / "adapters/torn").exists()
    assert (store.root / "adapters/newer").exists()
    with pytest.raises(StorageError, match="which weights are needed is not known"):
        collect(store, keep="metrics")


def test_names_that_are_not_ours_stay(store: Store) -> None:
    make(store, "adapters/notes.txt")
    make(store, "work/my folder/file")
    assert removed(store) == []


def test_keeping_less_rewrites_the_record_before_the_weights_go(store: Store, tree: Tree) -> None:
    before = tree(store.root)
    assert removed(store, dry_run=True, keep="metrics") == [f"adapters/{LORA}", f"adapters/{HEAD}"]
    assert tree(store.root) == before
    result = gc(store, "--keep", "metrics")
    assert "would" not in result.stdout
    record = store.get(LORA)
    assert record is not None
    assert record.artefacts == {"predictions": f"predictions/{LORA}.parquet"}
    verdict = verify(store, everything=True)
    assert (verdict.runs, verdict.files, verdict.problems) == (2, 2, [])
    old = json.loads(before[f"records/{LORA}.json"][0])
    assert (record.metrics, record.finished) == (old["metrics"], old["finished"])


def test_weights_from_which_others_start_stay_whatever_is_kept(store: Store) -> None:
    config = {"model": {"init_from": HEAD}}
    store.put(RunRecord("child", "failed", "s", "lora", config, failure={"class": "bug"}))
    store.put_sweep("s", {"members": ["x"], "points": {"x": {"config": {"model": {"init_from": "planned"}}}}})
    assert sources(store) >= {HEAD, "planned"}
    assert removed(store, keep="metrics") == [f"adapters/{LORA}"]
    assert verify(store, [HEAD]).problems == []


def test_keep_adapter_lets_whole_models_go_and_no_adapter(store: Store) -> None:
    record = store.get(HEAD)
    assert record is not None
    record.config["method"]["trains"] = ".*"
    store.put(record)
    assert removed(store, keep="adapter") == [f"adapters/{HEAD}"]


def test_a_full_disk_keeps_the_weights(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    result = gc(store, "--keep", "metrics")
    assert result.exit_code == 1
    assert "cannot be written (No space left on device)" in result.stderr
    assert verify(store, everything=True).problems == []


def test_a_folder_that_is_no_store_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "work" / "mine").mkdir(parents=True)
    with pytest.raises(StorageError, match="holds no runs"):
        collect(Store(tmp_path))
    assert (tmp_path / "work" / "mine").exists()


def test_what_can_be_kept_is_said(store: Store) -> None:
    with pytest.raises(BadConfig, match="--keep=all is not an option: choose one of metrics, adapter"):
        collect(store, keep="all")
