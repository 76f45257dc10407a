"""`tunesweep reproduce`: the same predictions from a process of its own, or one hears what is different."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import psutil
import pytest

from tunesweep.record import RunRecord
from tunesweep.serving import reproduction
from tunesweep.store import Store

DIGITS = ("dataset=digits", "model=logistic", "method=full", "train.epochs=2", "train.precision=fp32")
SMALL = ("dataset.limit.train=64", "dataset.limit.select=16", "dataset.limit.test=32")


def contents(root: Path) -> dict[str, str]:
    """Return a digest of every file of a store; locks come and go."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def digits(finished: Callable[..., RunRecord]) -> RunRecord:
    return finished(*DIGITS, few=SMALL)


@pytest.fixture
def copied(digits: RunRecord, shelf: Store, tmp_path: Path) -> Store:
    """A store of its own that holds the run's record and predictions."""
    store = Store(tmp_path / "copy")
    store.put(digits)
    path = store.path("predictions", digits.run_id)
    path.parent.mkdir(parents=True)
    path.write_bytes(shelf.path("predictions", digits.run_id).read_bytes())
    return store


def test_a_run_comes_out_to_the_bit_and_its_store_is_left_alone(digits, shelf, tunesweep):
    before = contents(shelf.root)
    done = tunesweep("reproduce", digits.run_id)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"identical to the bit: run {digits.run_id}, trained again")
    assert f"accuracy: {digits.main_metric!r} both times" in done.stdout
    assert "probabilities of 32 examples" in done.stdout
    assert contents(shelf.root) == before
    assert not list(shelf.root.parent.glob(".*reproduce*"))


def with_another_score(record: RunRecord) -> RunRecord:
    metrics = record.metrics | {"test": record.metrics["test"] | {"accuracy": 0.25}}
    return replace(record, metrics=metrics)


@pytest.mark.slow
def test_predictions_that_were_tampered_with_are_found(digits, copied, tunesweep):
    path = copied.path("predictions", digits.run_id)
    frame = pd.read_parquet(path)
    frame.loc[3, "prediction"] = "9" if frame.loc[3, "prediction"] != "9" else "8"
    frame.loc[5, "loss"] += 1e-3
    frame.to_parquet(path, index=False)
    copied.put(with_another_score(digits))
    done = tunesweep("reproduce", digits.run_id, store=copied.root)
    assert done.exit_code == 1
    assert f"accuracy: 0.25 recorded, {digits.main_metric!r} again" in done.stdout
    assert done.stdout.startswith("different: ")
    assert f"1 of 32 examples got another prediction, 2 differ in anything ({frame.loc[3, 'id']} first)" in (
        done.stdout
    )
    assert "change of a number is 0.001 (loss)" in done.stdout


@pytest.mark.slow
def test_a_tolerance_lets_numbers_pass_and_no_prediction(digits, copied, tunesweep):
    path = copied.path("predictions", digits.run_id)
    frame = pd.read_parquet(path)
    frame["loss"] += 1e-5
    frame.to_parquet(path, index=False)
    assert tunesweep("reproduce", digits.run_id, store=copied.root).exit_code == 1
    done = tunesweep("reproduce", digits.run_id, "--tolerance", "1e-4", store=copied.root)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("within 0.0001: ")


def test_changed_inputs_are_named(digits, copied, tunesweep):
    for part, words in (
        ({"data": digits.data | {"fingerprint": "0"}}, "the files of dataset=digits, sklearn:digits"),
        ({"config": digits.config | {"seeds": {"init": 5, "data": 0, "split": 0}}}, "the recipe of training"),
        (
            {"provenance": digits.provenance | {"model_fingerprint": "0"}},
            "the weights or tokenizer of model=logistic",
        ),
    ):
        other = replace(digits, run_id="a" * 16, **part)
        copied.put(other)
        done = tunesweep("reproduce", other.run_id, store=copied.root)
        assert done.exit_code == 1
        assert f"the inputs of run {other.run_id} have changed" in done.stderr
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_runs_without_a_result_are_refused_in_a_sentence(digits, copied, tunesweep):
    failure = {"class": "diverged", "message": "nan", "log": ""}
    copied.put(replace(digits, run_id="f" * 16, status="failed", failure=failure))
    for run_id, words in (
        ("f" * 16, "has failed"),
        ("0" * 16, "no readable record"),
        ("../x", "no readable"),
    ):
        done = tunesweep("reproduce", run_id, store=copied.root)
        assert (done.exit_code, done.stdout) == (1, "")
        assert words in done.stderr
    copied.path("predictions", digits.run_id).unlink()
    assert "has no predictions" in tunesweep("reproduce", digits.run_id, store=copied.root).stderr


@pytest.mark.slow
def test_a_run_that_fails_this_time_says_why(digits, copied, tunesweep, monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    done = tunesweep("reproduce", digits.run_id, "--device", "cuda", store=copied.root)
    assert done.exit_code == 1
    assert f"run {digits.run_id}, trained again, failed: bad_config: runtime.device=cuda" in done.stderr
    (tmp_path / "pytorch_lightning.py").write_text("raise SystemExit(7)")
    monkeypatch.syspath_prepend(str(tmp_path))
    done = tunesweep("reproduce", digits.run_id, store=copied.root)
    assert done.exit_code == 1
    assert "ended with status 7 and left no record" in done.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_paths_are_relative_to_where_the_command_was_given(digits, copied, tmp_path):
    store = Store(tmp_path / "swept")
    store.put(replace(digits, sweep_id="s1"))
    point = {"config": {"runtime": {"point": {"folder": str(tmp_path)}}}}
    store.put_sweep("s1", {"members": [digits.run_id], "points": {digits.run_id: point}})
    assert reproduction._folder(store, digits.run_id) == tmp_path
    assert reproduction._folder(copied, digits.run_id) == Path.cwd()


@pytest.mark.slow
def test_a_run_of_the_default_model_comes_out_to_the_bit(finished, tunesweep):
    record = finished("dataset=reviews", "method=lora", "lora.dropout=0.1")
    done = tunesweep("reproduce", record.run_id)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("identical to the bit")


@pytest.mark.slow
def test_a_run_that_starts_from_another_takes_its_weights_from_the_store(finished, shelf, tunesweep):
    source = finished(*DIGITS, "runtime.keep=all", "seed=1", few=SMALL)
    record = finished(*DIGITS, f"model.init_from={source.run_id}", few=SMALL)
    before = contents(shelf.root)
    done = tunesweep("reproduce", record.run_id)
    assert done.exit_code == 0, done.output
    assert contents(shelf.root) == before


def test_a_place_that_cannot_be_written_to_is_named(digits, copied, tunesweep, monkeypatch):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(reproduction.tempfile, "TemporaryDirectory", refuse)
    done = tunesweep("reproduce", digits.run_id, store=copied.root)
    assert done.exit_code == 1
    assert f"no temporary store can be made in {copied.root.parent} (Permission denied)" in done.stderr


@pytest.mark.slow
def test_an_interrupted_command_leaves_nothing_behind(digits, copied, cache, tmp_path):
    code = "from tunesweep.cli import app; app()"
    words = [sys.executable, "-c", code, "reproduce", digits.run_id, "--store", str(copied.root)]
    with subprocess.Popen(words, env=os.environ | {"TUNESWEEP_CACHE": str(cache)}) as process:
        for _ in range(600):
            if children := psutil.Process(process.pid).children():
                break
            time.sleep(0.05)
        process.terminate()
        assert process.wait(30) != 0
    assert not psutil.pid_exists(children[0].pid)
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]
