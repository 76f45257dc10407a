"""`tunesweep verify`: what finished runs left is there, and is what they wrote."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tunesweep.cli import app
from tunesweep.errors import suggest_run
from tunesweep.record import RunRecord
from tunesweep.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two finished runs with files, a failed one and one that has not begun; two sweeps."""
    store = Store(tmp_path / "multirun")
    for run_id in ("a1", "b2"):
        put(store, run_id)
    failed = RunRecord("c3", "failed", "s2", "dora", {})
    failed.artefacts = {"predictions": "predictions/c3.parquet"}
    failed.failure = {"class": "bug", "message": "x", "log": ""}
    store.put(failed)
    for sweep_id, members in (("s1", ["a1"]), ("s2", ["b2", "c3", "d4"])):
        store.put_sweep(sweep_id, {"started": sweep_id, "members": members})
    return store


def put(store: Store, run_id: str) -> None:
    record = RunRecord(run_id, "succeeded", "s", "lora", {})
    record.artefacts = {"predictions": f"predictions/{run_id}.parquet", "adapter": f"adapters/{run_id}"}
    files = {
        f"predictions/{run_id}.parquet": b"rows",
        f"adapters/{run_id}/adapter_config.json": b"{}",
        f"adapters/{run_id}/sub/adapter_model.safetensors": bytes(3_000_000),
    }
    for name, content in files.items():
        (store.root / name).parent.mkdir(parents=True, exist_ok=True)
        (store.root / name).write_bytes(content)
    record.integrity = {"files": {name: hashlib.sha256(raw).hexdigest() for name, raw in files.items()}}
    store.put(record)


def verify(store: Store, *words: str) -> tuple[int, str, list[str]]:
    result = CliRunner().invoke(app, ["verify", *words, "--store", str(store.root)])
    return result.exit_code, result.stdout, result.stderr.splitlines()


def test_the_last_sweep_is_looked_at_unless_told_otherwise(store):
    assert verify(store) == (0, "ok: 3 files of 1 finished runs are as they were written\n", [])
    assert verify(store, "--all") == (0, "ok: 6 files of 2 finished runs are as they were written\n", [])
    assert verify(store, "a1")[1].startswith("ok: 3 files of 1")
    (store.root / "predictions" / "a1.parquet").unlink()
    assert [verify(store, *words)[0] for words in ([], ["b2"], ["a1"], ["b2", "a1"], ["--all"])] == [
        0,
        0,
        1,
        1,
        1,
    ]


def test_an_adapter_that_is_gone_is_one_sentence(store):
    shutil.rmtree(store.root / "adapters" / "b2")
    status, output, problems = verify(store)
    assert (status, output, len(problems)) == (1, "", 1)
    assert f"the adapter of run b2 is gone: {store.root}/adapters/b2 does not exist" in problems[0]
    assert "runtime.force=true trains it again" in problems[0]


def test_a_file_that_is_gone_is_named(store):
    (store.root / "adapters/b2/adapter_config.json").unlink()
    status, _, problems = verify(store)
    assert (status, len(problems)) == (1, 1)
    assert "a file of run b2 is gone" in problems[0]
    assert "adapters/b2/adapter_config.json" in problems[0]


def test_one_byte_is_noticed_though_size_and_time_are_kept(store):
    path = store.root / "adapters/b2/sub/adapter_model.safetensors"
    before = path.stat()
    assert verify(store)[0] == 0  # what was read now is not remembered
    with path.open("r+b") as file:
        file.seek(2_000_000)
        file.write(b"\x01")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    status, _, problems = verify(store)
    assert (status, len(problems)) == (1, 1)
    assert f"{path} of run b2 has other content than when it was written" in problems[0]


def test_every_problem_is_told(store):
    shutil.rmtree(store.root / "predictions")
    (store.root / "adapters/a1/adapter_config.json").write_text("{} ")
    _, _, problems = verify(store, "--all")
    found = [
        f"{kind} {run}"
        for run in ("a1", "b2")
        for kind in ("predictions", "content")
        if _told(problems, run, kind)
    ]
    assert found == ["predictions a1", "content a1", "predictions b2"]
    assert len(problems) == 3


def _told(problems: list[str], run_id: str, word: str) -> bool:
    return any(f"run {run_id} " in problem and word in problem for problem in problems)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads anything")
def test_a_file_that_cannot_be_read_is_a_problem(store):
    (store.root / "predictions/b2.parquet").chmod(0)
    assert "cannot be opened" in verify(store)[2][0]


def test_a_record_without_digests_is_not_called_whole(store):
    record = store.get("b2")
    record.integrity = {}
    store.put(record)
    assert "run b2 names no files to compare with" in verify(store)[2][0]


def test_an_unreadable_record_is_a_problem(store):
    store.path("records", "b2").write_text('{"run_id": "b2"')
    status, _, problems = verify(store)
    assert (status, len(problems)) == (1, 1)
    assert "b2.json is not a readable record" in problems[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["zz"], "run zz has no readable record in {root}: choose one of a1, b2"),
        (["c3"], "run c3 has failed and keeps no files: choose one of a1, b2"),
        (["a1", "--all"], "--all and a1 exclude each other"),
        (["../a1"], "is not the id of a run"),
    ],
)
def test_what_cannot_be_verified_is_one_sentence(store, words, message):
    status, output, problems = verify(store, *words)
    assert (status, output, len(problems)) == (1, "", 1)
    assert message.format(root=store.root) in problems[0]


def test_an_empty_store_is_one_sentence(tmp_path):
    status, _, problems = verify(Store(tmp_path / "none"))
    assert status == 1
    assert "holds no sweep yet" in problems[0]
    assert not (tmp_path / "none").exists()


def test_verifying_loads_nothing_heavy(store):
    code = f"""
import sys
from tunesweep.cli import app
app(["verify", "--store", {str(store.root)!r}], standalone_mode=False)
print("HEAVY", sorted({{"torch", "transformers", "datasets", "pandas", "peft"}} & set(sys.modules)))
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert "HEAVY []" in result.stdout


@pytest.mark.parametrize("path", ["/etc/hostname", "../outside.json", "records/../../outside.json"])
def test_a_record_that_points_out_of_the_store_is_not_followed(store, path):
    record = store.get("b2")
    outside = store.root.parent / "outside.json"
    outside.write_text("{}")
    record.integrity["files"] = {path: hashlib.sha256(b"{}").hexdigest()}
    store.put(record)
    status, _, problems = verify(store)
    assert (status, len(problems)) == (1, 1)
    assert f"run b2 names {path!r}, which is no path below" in problems[0]


def test_of_many_runs_the_nearest_are_named():
    said = suggest_run("a17", [f"a{number}" for number in range(10_000)])
    assert said.startswith("choose one of 10,000 runs, such as a17, ")
    assert said.count(", a") == 19
    assert said.endswith("or name another store by --store FOLDER")
