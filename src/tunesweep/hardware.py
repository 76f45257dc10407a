"""What this machine computes in natively, asked without torch: planning wants to know."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunesweep.config import RunConfig

BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # the last as ARM says it
VISIBLE = "CUDA_VISIBLE_DEVICES"  # as CUDA reads it: none from the first that is empty or -1
AMPERE = 8.0  # the first compute capability with bf16


def native_precision(device: str) -> str:
    """Return bf16 where the device has instructions for it, else fp32: emulated, it is several times slower.

    Measured on an AVX2 CPU: 75 GFLOP/s in fp32, 5 in bf16 (one thread, 1024 x 384 x 1536).
    """
    native = _gpu_has_bf16() if on_gpu(device) else bool(BF16_FLAGS & cpu_flags())
    return "bf16" if native else "fp32"


def warning(config: RunConfig) -> list[str]:
    """Return a sentence where a point was asked to compute in what this machine only emulates."""
    if config.train.precision == "bf16" and native_precision(config.runtime.device) == "fp32":
        return ["bf16 is emulated on this device: train.precision=fp32 is several times faster here"]
    return []


@cache
def cpu_flags() -> set[str]:
    """Return what the CPU says it can do; empty where the system does not tell."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return set()
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return set(found[1].split()) if found else set()


def on_gpu(device: str) -> bool:
    """Whether a point with this `runtime.device` will run on a GPU, as far as can be seen without torch."""
    return device != "cpu" and _gpu()


def device_name(device: str) -> str | None:
    """Return the model name of the GPU or of the CPU, as records have it."""
    if on_gpu(device):
        return gpus()[0][0] if gpus() else None
    return cpu_name()


def free_memory(device: str) -> int | None:
    """Return the bytes that a point could take: of a GPU all, of the host what is available now."""
    if on_gpu(device):
        return min((size for _, size in gpus()), default=None)
    import psutil

    return int(psutil.virtual_memory().available)


@cache
def cpu_name() -> str:
    """Return the model name of the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


@cache
def gpus() -> list[tuple[str, int]]:
    """Return name and bytes of every GPU that the driver knows."""
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout
        pairs = [line.rsplit(",", 1) for line in said.splitlines() if line.strip()]
        return [(name.strip(), int(float(size) * 2**20)) for name, size in pairs]
    except (OSError, ValueError, subprocess.SubprocessError):
        return []


@cache
def _gpu() -> bool:
    if _torch_is_for_cpus() or os.environ.get(VISIBLE, "0").split(",")[0].strip() in ("", "-1"):
        return False
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


@cache
def _torch_is_for_cpus() -> bool:
    """Whether the build of torch that is installed says that it knows no GPU."""
    try:
        return metadata.version("torch").endswith("+cpu")
    except metadata.PackageNotFoundError:
        return False


@cache
def _gpu_has_bf16() -> bool:
    command = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout
        return min(float(line) for line in said.split()) >= AMPERE
    except (OSError, ValueError, subprocess.SubprocessError):
        return True  # a GPU that does not answer here is most likely a recent one
