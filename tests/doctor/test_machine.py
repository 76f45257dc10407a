"""The doctor's checks of the device, and of the process that asks torch."""

from __future__ import annotations

import subprocess
import sys

import pytest
from findings import said

from tunesweep import hardware
from tunesweep.doctor import machine, probe
from tunesweep.doctor.finding import FAILS, NOTE, OK
from tunesweep.doctor.probe import Answer, Probe

WELL = Answer("2.13.0+cpu", threads=2, bitsandbytes="0.50.2")


def test_the_device_is_named_and_a_gpu_that_torch_does_not_see_is_a_note(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hardware, "gpus", list)
    assert machine.device(WELL).found == f"{hardware.cpu_name()}, 2 threads (torch 2.13.0+cpu)"
    assert machine.device(Answer("2.13.0", gpus=["H200"])).found == "H200 (torch 2.13.0)"
    monkeypatch.setattr(hardware, "gpus", lambda: [("H200", 1)])
    assert said(machine.device(WELL))[0] == NOTE
    assert "torch 2.13.0+cpu sees no GPU" in machine.device(WELL).found


def test_a_torch_that_cannot_be_loaded_fails() -> None:
    broken = Answer(failure="ImportError: libc10.so: cannot open shared object file")
    assert "torch cannot be loaded (ImportError: libc10.so" in machine.device(broken).found
    assert {check(broken).status for check in (machine.device, machine.bitsandbytes)} == {FAILS}


@pytest.mark.parametrize(
    ("answer", "native", "status"),
    [
        (WELL, "bf16", OK),
        (WELL, "fp32", NOTE),
        (Answer(gpus=["V100"], bf16=False), "bf16", NOTE),
        (Answer(gpus=["H200"], bf16=True), "fp32", OK),
    ],
)
def test_bf16_is_asked_of_the_device_that_is_used(
    answer: Answer, native: str, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "native_precision", lambda device: native if device == "cpu" else "none")
    assert machine.bf16(answer).status == status


def test_four_bits_that_do_not_work_fail() -> None:
    assert machine.bitsandbytes(WELL).status == OK
    broken = Answer(four_bits="ImportError: No module named 'bitsandbytes'")
    assert machine.bitsandbytes(broken).status == FAILS
    assert "leave method=qlora out" in machine.bitsandbytes(broken).remedy


def test_four_bits_are_tried_not_only_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    from bitsandbytes import functional

    assert probe.ask()["four_bits"] == ""
    real = functional.dequantize_4bit
    monkeypatch.setattr(functional, "dequantize_4bit", lambda *a, **k: 0 * real(*a, **k))
    assert "weights in 4 bits are off by" in probe.ask()["four_bits"]
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    assert probe.ask()["four_bits"].startswith("ModuleNotFoundError: import of bitsandbytes halted")


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("import sys; sys.exit('a\\nImportError: libc10.so\\n')", "ImportError: libc10.so"),
        ("import os; os.kill(os.getpid(), 9)", "the process ended with status -9"),
        ("print('hello')", "the process ended with status 0"),
        ("import time; time.sleep(60)", "torch did not answer within 2 s"),
    ],
)
def test_a_process_that_says_nothing_is_a_failure(
    code: str, failure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda _, **k: real([sys.executable, "-c", code], **k))
    monkeypatch.setattr(probe, "SECONDS", 2)
    with Probe() as process:
        assert process.answer() == Answer(failure=failure)
    assert process.process.returncode is not None
