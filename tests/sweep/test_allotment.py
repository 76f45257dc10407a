"""Cores and GPUs are divided, never shared; no GPU and no torch is needed to know."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tunesweep.errors import BadConfig
from tunesweep.sweep import allotment
from tunesweep.sweep.allotment import allot


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Eight cores and no GPU; returns the only folder where a program is looked for."""
    monkeypatch.setattr(allotment, "cores", lambda: 8)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(allotment.VISIBLE, raising=False)
    return tmp_path


def plug_in(folder: Path, count: int) -> None:
    """Put an nvidia-smi there that lists GPUs, with a line that is none."""
    lines = [f"GPU {i}: NVIDIA H100 (UUID: GPU-{i})" for i in range(count)]
    program = folder / "nvidia-smi"
    program.write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in [*lines, "  MIG 1g.10gb"]))
    program.chmod(0o755)


def test_one_worker_on_a_cpu_changes_nothing() -> None:
    found = allot(None, None, "auto")
    assert (found.environments, found.threads) == (({},), None)


@pytest.mark.parametrize(("workers", "threads"), [(2, 4), (3, 2), (8, 1)])
def test_cores_are_divided(workers: int, threads: int) -> None:
    found = allot(workers, None, "cpu")
    own = {"OMP_NUM_THREADS": str(threads), "RAYON_NUM_THREADS": str(threads)}
    assert (found.environments, found.threads) == ((own,) * workers, threads)


def test_threads_given_by_hand_are_taken() -> None:
    assert allot(3, 1, "cpu").threads == 1
    assert allot(None, 8, "cpu").environments[0]["OMP_NUM_THREADS"] == "8"


@pytest.mark.parametrize(
    ("workers", "threads", "asked"),
    [(9, None, "runtime.workers=9 is"), (4, 3, "runtime.workers=4 with runtime.threads=3 is")],
)
def test_more_than_the_cores_is_refused(workers: int, threads: int | None, asked: str) -> None:
    with pytest.raises(BadConfig, match=rf"^{asked} more than the 8 cores .* be at most 8$"):
        allot(workers, threads, "cpu")


def test_each_gpu_has_one_worker(machine: Path) -> None:
    plug_in(machine, 2)
    found = allot(None, None, "auto")
    assert [place["CUDA_VISIBLE_DEVICES"] for place in found.environments] == ["0", "1"]
    assert found.threads == 4
    assert len(allot(1, None, "cuda").environments) == 1
    assert allot(2, None, "cpu").environments[0].keys() == {"OMP_NUM_THREADS", "RAYON_NUM_THREADS"}
    with pytest.raises(BadConfig, match=r"^runtime.workers=3 is more than the 2 GPUs here .* 2 is the most$"):
        allot(3, None, "auto")


def test_points_that_take_two_gpus_have_two(machine: Path) -> None:
    plug_in(machine, 5)
    found = allot(None, None, "auto", each=2)
    assert [place["CUDA_VISIBLE_DEVICES"] for place in found.environments] == ["0,1", "2,3"]
    with pytest.raises(BadConfig, match=r"has 8 GPUs \(runtime.devices\), so 0 is the most$"):
        allot(None, None, "auto", each=8)


@pytest.mark.parametrize(
    ("visible", "devices"),
    [("3,5", ["3", "5"]), ("GPU-8f, 1", ["GPU-8f", "1"]), ("0,-1,2", ["0"]), ("", []), ("-1", [])],
)
def test_gpus_are_those_that_cuda_would_show(
    machine: Path, monkeypatch: pytest.MonkeyPatch, visible: str, devices: list[str]
) -> None:
    plug_in(machine, 8)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert allotment.visible_devices() == devices


def test_a_driver_that_does_not_answer_means_no_gpu(machine: Path) -> None:
    program = machine / "nvidia-smi"
    program.write_text("#!/bin/sh\nexit 9\n")
    program.chmod(0o755)
    assert allotment.visible_devices() == []


def test_the_cores_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert allotment.cores() == len(os.sched_getaffinity(0))
