"""What a machine computes in natively: from what CPUs and GPUs say of themselves."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tunesweep import hardware

# Lines of /proc/cpuinfo, shortened: two Xeons, an Epyc before its fourth generation, two ARMs.
SAPPHIRE = (
    "processor\t: 0\nmodel name\t: Xeon\nflags\t\t: fpu sse2 avx2 avx512f avx512_bf16 amx_bf16 amx_tile\n"
)
COOPER = "processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512_bf16\n"
ROME = "processor\t: 0\nflags\t\t: fpu sse2 avx2 f16c\nbugs\t\t: bf16\n"
GRAVITON3 = "processor\t: 0\nFeatures\t: fp asimd sve i8mm bf16\n"
GRAVITON2 = "processor\t: 0\nFeatures\t: fp asimd fphp\n"


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """Ask again, before and after: answers are remembered for a whole process."""
    asked = (hardware.cpu_flags, hardware._gpu, hardware._gpu_has_bf16, hardware._torch_is_for_cpus)
    for function in asked:
        function.cache_clear()
    yield
    for function in asked:
        function.cache_clear()


@pytest.fixture
def cpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str | None], None]:
    """Let /proc say something else; nothing, where the system has none."""

    def says(text: str | None) -> None:
        if text is not None:
            (tmp_path / "cpuinfo").write_text(text)
        monkeypatch.setattr(hardware, "Path", lambda path: tmp_path / Path(path).name)

    return says


@pytest.fixture
def smi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Put another nvidia-smi first on the path."""

    def does(script: str) -> None:
        path = tmp_path / "bin" / "nvidia-smi"
        path.parent.mkdir()
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setattr(hardware.metadata, "version", lambda _: "2.13.0")

    return does


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SAPPHIRE, "bf16"),
        (COOPER, "bf16"),
        (GRAVITON3, "bf16"),
        (ROME, "fp32"),
        (GRAVITON2, "fp32"),
        ("", "fp32"),
        (None, "fp32"),
    ],
)
def test_a_cpu_says_what_it_has_instructions_for(cpu, text, expected):
    cpu(text)
    assert hardware.native_precision("cpu") == expected


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo 9.0", "bf16"),
        ("echo 8.0", "bf16"),
        ("echo 7.5", "fp32"),
        ("echo 9.0; echo 7.5", "fp32"),  # a point may get either
        ("exit 9", "bf16"),  # no answer
        ("echo '[N/A]'", "bf16"),
    ],
)
def test_a_gpu_is_asked_for_its_generation(cpu, smi, script, expected):
    cpu(ROME if expected == "bf16" else SAPPHIRE)  # it is not the CPU that is asked
    smi(script)
    assert hardware.native_precision("auto") == expected
    assert hardware.native_precision("cuda") == expected


def test_the_question_is_for_the_compute_capability(cpu, smi, tmp_path):
    cpu(ROME)
    smi(f'echo "$@" > {tmp_path}/asked; echo 8.6')
    assert hardware.native_precision("cuda") == "bf16"
    assert (tmp_path / "asked").read_text().split() == ["--query-gpu=compute_cap", "--format=csv,noheader"]


@pytest.mark.parametrize(
    ("visible", "build"), [("1", "2.13.0+cu130"), ("", "2.13.0"), ("-1", "2.13.0"), ("0", "2.13.0+cpu")]
)
def test_a_gpu_that_torch_will_not_use_does_not_count(cpu, smi, monkeypatch, visible, build):
    cpu(ROME)
    smi("echo 9.0")
    monkeypatch.setattr(hardware.metadata, "version", lambda _: build)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert hardware.native_precision("auto") == ("bf16" if visible == "1" else "fp32")


def test_without_a_gpu_the_cpu_counts(cpu, monkeypatch):
    cpu(COOPER)
    monkeypatch.setenv("PATH", "")
    assert hardware.native_precision("auto") == "bf16"


@pytest.mark.parametrize(("text", "native"), [(SAPPHIRE, "bf16"), (ROME, "fp32")])
def test_a_point_computes_natively_unless_it_is_told_otherwise(cpu, make_config, text, native):
    cpu(text)
    assert make_config("runtime.device=cpu").train.precision == native
    for given in ("bf16", "fp32"):
        config = make_config("runtime.device=cpu", f"train.precision={given}")
        assert config.train.precision == given
        warned = [["train.precision=fp32" in line for line in hardware.warning(config)]]
        assert warned == ([[True]] if (given, native) == ("bf16", "fp32") else [[]])
