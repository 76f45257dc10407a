"""Disks that refuse, and what becomes of a store: one clear sentence, and nothing is lost."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from refusals import DIGITS, failure, one_sentence, write
from typer.testing import CliRunner

from disks import files_up_to
from tunesweep.cli import app
from tunesweep.errors import StorageError
from tunesweep.point import run

TRAIN = Path(__file__).parents[2] / "train.py"

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


def test_a_store_that_cannot_be_written_to(command, tmp_path, intact):
    write(tmp_path / "multirun", "a file, where a folder should be")
    result = command("runtime.store=multirun")
    one_sentence(result, "multirun/records cannot be written", "runtime.store=FOLDER")
    assert (tmp_path / "multirun").read_text() == "a file, where a folder should be"


def test_a_disk_that_is_full_before_the_scores_are_kept(make_config, intact):
    config = make_config(*DIGITS)
    with files_up_to(9000):
        record = run(config)
    failure(record, "storage", "predictions cannot be written", "File too large")


def test_a_disk_that_has_no_room_for_the_record_either(make_config, store, intact):
    config = make_config(*DIGITS)
    with files_up_to(1500), pytest.raises(StorageError) as caught:
        run(config)
    assert "Error while serializing" in str(caught.value)
    assert "nor could that be recorded" in str(caught.value)
    assert [record.run_id for record in store.records()] == ["earlier"]


def test_a_full_disk_ends_the_command_with_one_sentence(tmp_path, cache):
    """A file system of 40 kB, mounted where only this command sees it."""
    mount = tmp_path / "disk"
    mount.mkdir()
    places = f"runtime.store={mount} runtime.cache={cache} runtime.wandb.mode=disabled"
    train = f"{sys.executable} {TRAIN} {' '.join(DIGITS)} dataset.limit.test=350 {places}"
    fill = f"mount -t tmpfs -o size=40k tmpfs {mount} && {{ {train}; echo status $?; find {mount} -type f; }}"
    alone = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    trial = [*alone, f"mount -t tmpfs tmpfs {mount}"]
    if not shutil.which("unshare") or subprocess.run(trial, capture_output=True, check=False).returncode:
        pytest.skip("this system mounts nothing for its users")
    result = subprocess.run([*alone, fill], capture_output=True, text=True, timeout=120, check=False)
    assert "status 1" in result.stdout
    assert "Traceback" not in result.stderr
    assert "No space left on device" in result.stderr.splitlines()[-1]
    files = [Path(line).name for line in result.stdout.splitlines() if line.startswith(str(mount))]
    assert not [name for name in files if name.endswith(".part") or name.startswith("tmp")]


# What becomes of a store.
def tunesweep(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.stderr


def test_a_half_written_record_is_named_and_made_anew(make_config, store, intact):
    first, second = run(make_config(*DIGITS)), run(make_config(*DIGITS, "seed=1"))
    path = store.path("records", first.run_id)
    half = path.read_text()[:200]
    path.write_text(half)

    status, text = tunesweep("verify", second.run_id, first.run_id, "--store", store.root)
    assert (status, len(text.splitlines())) == (1, 1)
    assert f"run {first.run_id} has no readable record" in text
    status, text = tunesweep("verify", "--all", "--store", store.root)
    assert status == 1
    assert f"{path} is not a readable record" in text
    assert "the same command runs its point again" in text
    again = run(make_config(*DIGITS))
    assert again.metrics["test"] == first.metrics["test"]
    assert path.with_name(f"{path.name}.broken").read_text() == half
    assert store.get(second.run_id) == second


def test_a_deleted_adapter_is_missed(make_config, store, intact):
    record = run(make_config(*DIGITS, "runtime.keep=all"))
    assert tunesweep("verify", record.run_id, "--store", store.root)[0] == 0
    shutil.rmtree(store.path("adapters", record.run_id))
    status, text = tunesweep("verify", record.run_id, "--store", store.root)
    assert (status, len(text.splitlines())) == (1, 1)
    assert f"the adapter of run {record.run_id} is gone" in text
    assert "runtime.force=true trains it again" in text
    run(make_config(*DIGITS, "runtime.keep=all", "runtime.force=true"))
    assert tunesweep("verify", record.run_id, "--store", store.root)[0] == 0
