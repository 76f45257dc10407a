"""Whatever a point runs into becomes a record, of the class that decides whether it runs again."""

from __future__ import annotations

import errno
import os
import signal
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import transformers
from safetensors import SafetensorError
from safetensors.torch import save_file

from disks import files_up_to
from tunesweep.attempt import LOG_LINES, attempt, failure_class
from tunesweep.errors import BadConfig, BadData, Diverged, IntegrityError, StorageError
from tunesweep.models import gguf
from tunesweep.point import run
from tunesweep.record import RunRecord
from tunesweep.store import Store
from tunesweep.tasks.learner import Learner

CUDA = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.19 GiB."
CUBLAS = "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"


@pytest.fixture
def config(make_config):
    found = make_config("method=head_only")
    found.runtime.point.run_id = "a1"
    return found


@pytest.fixture
def store(config) -> Store:
    return Store(config.runtime.store)


def failing(config, store, error: BaseException) -> RunRecord:
    def work(_: RunRecord) -> None:
        raise error

    return attempt(config, store, work)


def wrapped(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (torch.OutOfMemoryError(CUDA), "out_of_memory", "OutOfMemoryError: CUDA out of memory"),
        (RuntimeError("CUDA error: out of memory\nCompile with"), "out_of_memory", "out of memory; lower"),
        (RuntimeError(CUBLAS), "out_of_memory", "runtime.gradient_checkpointing=true"),
        (MemoryError(), "out_of_memory", "MemoryError; lower runtime.micro_batch"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "out_of_memory", "lower runtime.micro_batch"),
        (wrapped(BadConfig("model.source=x cannot be loaded"), RuntimeError(CUDA)), "out_of_memory", "CUDA"),
        (wrapped(KeyError("x"), MemoryError()), "out_of_memory", "MemoryError"),
        (OSError(errno.ENOSPC, "No space left on device"), "storage", "free some space"),
        (OSError(errno.EROFS, "Read-only file system"), "storage", "runtime.store and runtime.cache"),
        (SafetensorError("I/O error: No space left on device (os error 28)"), "storage", "free some space"),
        (RuntimeError("[errno 122] Disk quota exceeded"), "storage", "free some space"),
        (wrapped(RuntimeError("x"), OSError(errno.ENOSPC, "No space")), "storage", "No space"),
        (SafetensorError("Error while deserializing header: (os error 2)"), "bug", "SafetensorError"),
        (OSError(errno.ENOENT, "os error 28"), "bug", "FileNotFoundError"),
        (BadData("there is no room: out of memory"), "bad_data", "there is no room"),
        (IntegrityError("not to be believed"), "integrity", "not to be believed"),
        (Diverged("the loss is not finite"), "diverged", "the loss is not finite"),
        (StorageError("full"), "storage", "full"),
        (wrapped(BadConfig("bad"), OSError(errno.ENOSPC, "x")), "bad_config", "bad"),
        (ZeroDivisionError("division\nby zero"), "bug", "ZeroDivisionError: division"),
        (SystemExit(3), "bug", "SystemExit: 3"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_an_error_becomes_a_class_and_one_sentence(config, store, error, kind, words):
    record = failing(config, store, error)
    assert record.failure["class"] == kind
    assert words in record.failure["message"]
    assert "\n" not in record.failure["message"]
    assert type(error).__name__ in record.failure["log"]
    assert store.get("a1") == record
    assert (record.status, record.metrics) == ("failed", {})


@pytest.mark.parametrize("allocate", [lambda: torch.empty(10**13), lambda: np.empty(10**14)])
def test_real_refusals_of_memory_are_known(config, store, allocate):
    assert attempt(config, store, lambda _: allocate()).failure["class"] == "out_of_memory"


def test_memory_that_runs_out_in_converting_is_no_bad_file(config, store, tmp_path, monkeypatch):
    def large(*_, **__):
        raise MemoryError

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", large)
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    record = attempt(config, store, lambda _: gguf.converted(tmp_path / "m.gguf", tmp_path))
    assert record.failure["class"] == "out_of_memory"


def _weights(folder):
    save_file({"a": torch.zeros(10_000)}, str(folder / "a.safetensors"))


def _table(folder):
    pq.write_table(pa.table({"a": np.random.default_rng(0).random(10_000)}), folder / "a.parquet")


def _plain(folder):
    (folder / "a.txt").write_text("a" * 10_000)


@pytest.mark.parametrize("write", [_weights, _table, _plain])
def test_real_refusals_of_the_disk_are_known(config, store, tmp_path, write):
    with files_up_to(1000), pytest.raises(Exception, match="File too large") as caught:
        write(tmp_path)
    record = failing(config, store, caught.value)
    assert record.failure["class"] == "storage"
    assert "free some space" in record.failure["message"]


def test_what_was_measured_before_a_failure_is_no_result(config, store):
    def work(record: RunRecord) -> None:
        record.metrics = {"test": {"accuracy": 1.0}, "protocol": {"metric": "accuracy", "split": "test"}}
        record.history = [{"epoch": 1}]
        raise IntegrityError("no")

    record = attempt(config, store, work)
    assert (record.metrics, record.main_metric) == ({}, None)
    assert record.history == [{"epoch": 1}]


def test_a_success_is_put_last(config, store):
    def work(record: RunRecord) -> None:
        assert store.get("a1") is None
        record.metrics = {"test": {"accuracy": 0.5}, "protocol": {"metric": "accuracy", "split": "test"}}

    record = attempt(config, store, work)
    assert (record.status, record.failure, record.main_metric) == ("succeeded", None, 0.5)
    assert store.get("a1") == record
    assert record.started <= record.finished


def test_the_log_is_the_end_of_the_traceback(config, store):
    def deep(level: int) -> None:
        if level == 0:
            raise ValueError("at the bottom")
        exec("deep(level - 1)", {"deep": deep, "level": level})  # frames that a traceback cannot fold

    log = attempt(config, store, lambda _: deep(40)).failure["log"].splitlines()
    assert len(log) == LOG_LINES
    assert log[-1] == "ValueError: at the bottom"


def test_ctrl_c_leaves_a_record_and_goes_on_up(config, store):
    with pytest.raises(KeyboardInterrupt):
        failing(config, store, KeyboardInterrupt())
    assert store.get("a1").failure["class"] == "interrupted"


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_a_second_ctrl_c_in_training_is_one_although_lightning_exits(make_config, monkeypatch):
    before = signal.getsignal(signal.SIGINT)

    def pressed(*_):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Learner, "training_step", pressed)
    config = make_config("model=logistic", "dataset=digits", "method=full", "dataset.limit.train=50")
    with pytest.raises(KeyboardInterrupt):
        run(config)
    record = Store(config.runtime.store).get(config.runtime.point.run_id)
    assert record.failure["class"] == "interrupted"
    assert "the same command runs it again" in record.failure["message"]
    assert signal.getsignal(signal.SIGINT) is before
    assert not list((Store(config.runtime.store).root / "work").glob("*"))


def test_a_success_that_cannot_be_recorded_says_so(config, store, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StorageError, match=r"a1\.json cannot be written \(No space left on device\)"):
        attempt(config, store, lambda _: None)
    assert list((store.root / "records").iterdir()) == []


def test_a_failure_that_cannot_be_recorded_gives_both_reasons(config, store, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StorageError, match=r"the loss is NaN; nor could that be recorded: .*free some space"):
        failing(config, store, Diverged("the loss is NaN"))


def test_a_score_that_is_no_number_fails_the_point(config, store):
    def work(record: RunRecord) -> None:
        record.metrics = {"test": {"accuracy": float("nan")}}
        record.cost = {"minutes": float("inf")}

    record = attempt(config, store, work)
    assert store.get("a1") == record
    assert (record.status, record.metrics, record.cost) == ("failed", {}, {})
    assert "the record cannot be written" in record.failure["message"]


def test_a_failure_with_numbers_that_are_none_keeps_its_reason(config, store):
    def work(record: RunRecord) -> None:
        record.history = [{"train_loss": float("nan")}]
        raise Diverged("the loss is not finite")

    attempt(config, store, work)
    assert store.get("a1").failure["message"] == "the loss is not finite"


def test_what_submitit_ends_for_the_time_limit_is_interrupted() -> None:
    handler: dict[str, Any] = {"__name__": "submitit.core.job_environment"}  # where its signal handler stands
    exec("def checkpoint_and_try_requeue(): raise SystemExit(-1)", handler)
    for ends, kind in ((handler["checkpoint_and_try_requeue"], "interrupted"), (sys.exit, "bug")):
        with pytest.raises(SystemExit) as raised:
            ends()
        assert failure_class(raised.value) == kind
