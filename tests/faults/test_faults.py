"""Thirteen faults put into a sweep of three points: what is lost, and that the same command completes it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from three_points import FAULTY, POINTS

from disks import files_up_to
from hydra_plugins.tunesweep import _jobs
from tunesweep import door, stages, train
from tunesweep.data.module import DataModule
from tunesweep.tasks.learner import Learner

TRAIN = Path(__file__).parents[2] / "train.py"
STEP = Learner.training_step


def in_step(monkeypatch, fault):
    """Let a fault happen in every training step of the point it is meant for."""

    def step(self, batch, position):
        loss = STEP(self, batch, position)
        return fault(loss) if self.config.seed == FAULTY else loss

    monkeypatch.setattr(Learner, "training_step", step)


def raising(error):
    def fault(_):
        raise error

    return fault


def out_of_memory():
    return RuntimeError("[enforce fail at alloc_cpu.cpp:119] DefaultCPUAllocator: can't allocate memory")


@pytest.mark.parametrize(
    "fault",
    [
        (raising(ZeroDivisionError("no such step")), "bug", "ZeroDivisionError: no such step"),
        (lambda loss: loss * torch.nan, "diverged", "the loss is not finite at train.lr="),
        (raising(out_of_memory()), "out_of_memory", "lower runtime.micro_batch"),
    ],
    ids=["raise in step", "nan loss", "allocation fails always"],
)
def test_a_fault_in_training_costs_its_point_and_nothing_else(sweep, completes, monkeypatch, fault):
    what, kind, said = fault
    in_step(monkeypatch, what)
    outcome = sweep()
    failure = sweep.failure()
    assert (outcome.status, failure["class"]) == (1, kind)
    assert said in failure["message"]
    assert f"seed=1: {kind}: {failure['message']}" in outcome.said
    assert "1 of 3 runs failed" in outcome.said
    assert "Error" in failure["log"] or "Diverged" in failure["log"]
    monkeypatch.setattr(Learner, "training_step", STEP)
    completes()


def test_an_allocation_that_fails_once_costs_a_smaller_micro_batch(sweep, undisturbed, monkeypatch):
    left = [out_of_memory()]

    def once(loss):
        if left:
            raise left.pop()
        return loss

    in_step(monkeypatch, once)
    assert sweep().status == 0
    record = sweep.records()[FAULTY]
    assert record.cost["micro_batch"] == 8
    assert any("memory ran out" in warning for warning in record.warnings)
    found, expected = (r.metrics["select"]["loss"] for r in (record, undisturbed[FAULTY]))
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_full_disk_costs_the_point_that_meets_it(sweep, completes, monkeypatch):
    keep = stages.keep

    def on_a_full_disk(work):
        with files_up_to(1500 if work.config.seed == FAULTY else 10**9):
            keep(work)

    monkeypatch.setattr(stages, "keep", on_a_full_disk)
    assert sweep().status == 1
    assert sweep.failure()["class"] == "storage"
    monkeypatch.setattr(stages, "keep", keep)
    completes()


def test_a_store_that_is_read_only_is_refused_before_anything_starts(tmp_path, cache):
    mount = tmp_path / "disk"
    mount.mkdir()
    words = [*POINTS, f"runtime.store={mount}/store", f"runtime.cache={cache}", "runtime.wandb.mode=disabled"]
    command = f"{sys.executable} {TRAIN} {' '.join(words)}; echo status $?; ls -A {mount}"
    alone = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    trial = f"mount -t tmpfs tmpfs {mount} && mount -o remount,ro {mount}"
    if (
        not shutil.which("unshare")
        or subprocess.run([*alone, trial], capture_output=True, check=False).returncode
    ):
        pytest.skip("this system mounts nothing for its users")
    done = subprocess.run(
        [*alone, f"{trial} && {{ {command}; }}"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.split() == ["status", "1"]  # and nothing in the folder
    assert "cannot be written (Read-only file system)" in done.stderr
    assert "runtime.store=FOLDER" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_deleted_cache_is_made_anew(sweep, undisturbed, monkeypatch, tmp_path):
    cache = tmp_path / "cache"
    prepare = stages.prepare

    def without_a_cache(work):
        shutil.rmtree(cache, ignore_errors=True)
        prepare(work)

    monkeypatch.setattr(stages, "prepare", without_a_cache)
    outcome = sweep(f"runtime.cache={cache}")
    assert outcome.status == 0, outcome.errors
    assert sweep.records()[FAULTY].metrics == undisturbed[FAULTY].metrics


def test_a_corrupted_record_is_set_aside_and_its_point_repeated(sweep, completes):
    assert sweep().status == 0
    path = sweep.store.path("records", sweep.records()[FAULTY].run_id)
    path.write_bytes(path.read_bytes()[:100])
    completes()
    assert path.with_name(f"{path.name}.broken").stat().st_size == 100


def test_a_corrupted_checkpoint_is_passed_over(sweep, completes, monkeypatch):
    seen = []

    def interrupted(loss):
        seen.append(loss)
        if len(seen) == 6:
            raise KeyboardInterrupt
        return loss

    in_step(monkeypatch, interrupted)
    every_step = "runtime.checkpoint_minutes=0"
    assert sweep(every_step).status == 130
    failed = sweep.records()[FAULTY]
    assert (failed.failure or {})["class"] == "interrupted"
    kept = [path for path in sweep.store.path("work", failed.run_id).rglob("*") if path.is_file()]
    states = [path for path in kept if path.suffix not in (".json", ".safetensors")]
    assert states, kept
    for path in states:
        path.write_bytes(b"\x00" * path.stat().st_size)
    monkeypatch.setattr(Learner, "training_step", STEP)
    completes(every_step, todo=2)
    record = sweep.records()[FAULTY]
    assert record.resumed == []
    assert any("checkpoint" in warning for warning in record.warnings)


def test_an_error_of_the_tokenizer_is_the_points_own(sweep, completes, monkeypatch):
    init = DataModule.__init__

    def broken(self, config, *rest):
        if config.seed == FAULTY:
            raise ValueError("Unk token `[UNK]` not found in the vocabulary")
        init(self, config, *rest)

    monkeypatch.setattr(DataModule, "__init__", broken)
    assert sweep().status == 1
    assert "Unk token" in sweep.failure()["message"]
    monkeypatch.setattr(DataModule, "__init__", init)
    completes()


def test_an_edited_config_changes_no_point_of_a_sweep_that_runs(sweep, undisturbed, monkeypatch, tmp_path):
    conf = tmp_path / "conf"
    shutil.copytree(door.conf_folder(), conf)
    monkeypatch.setattr(door, "conf_folder", lambda: conf)
    prepare = stages.prepare

    def edit(work):
        (conf / "method" / "full.yaml").write_text("no: {such: method\n")
        prepare(work)

    monkeypatch.setattr(stages, "prepare", edit)
    outcome = sweep()
    assert outcome.status == 0, outcome.errors
    found = sweep.records()
    assert {s: r.metrics for s, r in found.items()} == {s: r.metrics for s, r in undisturbed.items()}


# These happen to a worker, which the task reaches by value.
@pytest.mark.slow  # tests/sweep/test_pool.py kills workers that train nothing
def test_a_killed_worker_costs_an_attempt(sweep, completes, monkeypatch, tmp_path):
    real, done = train.train, tmp_path / "killed"

    def killed(cfg):
        import os
        import signal

        if cfg.seed == 1 and not done.exists():
            done.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return real(cfg)

    monkeypatch.setattr(sweep, "_job", lambda _: killed)
    outcome = sweep("hydra/launcher=local")
    assert outcome.status == 0, outcome.errors
    assert done.exists()
    completes("hydra/launcher=local", todo=0)


@pytest.mark.slow  # it waits for the time to pass
def test_a_hung_step_is_ended_at_its_time(sweep, monkeypatch, tmp_path):
    real = train.train

    def hung(cfg):
        import time

        if cfg.seed == 1:
            time.sleep(600)
        return real(cfg)

    # A point that hangs has its time at once; how long the others take is the machine's affair.
    monkeypatch.setattr(_jobs, "_limit", lambda runtime: 3.0 if runtime.point.name == "seed=1" else None)
    monkeypatch.setattr(sweep, "_job", lambda _: hung)
    outcome = sweep("hydra/launcher=local")
    assert outcome.status == 1
    assert sweep.failure()["class"] == "timeout"
    assert "seed=1: timeout: " in outcome.said
