"""Where a number comes from: code, versions, device."""

from __future__ import annotations

import platform
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from tunesweep.hardware import cpu_name

PACKAGES = (
    *("tunesweep", "torch", "transformers", "peft", "bitsandbytes", "pytorch-lightning"),
    *("hydra-core", "datasets", "tokenizers", "numpy"),
)


def provenance(device: torch.device, executor: str) -> dict[str, object]:
    """Return the record's `provenance`; no host name, no path, no user."""
    return {
        "git": git_state(),
        "versions": versions(),
        "python": platform.python_version(),
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "executor": executor,
    }


def versions() -> dict[str, str]:
    """Return the versions of the packages that a number depends on."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # run from a folder, not installed
            continue
    return found


@lru_cache
def git_state() -> dict[str, object]:
    """Return commit and dirty flag of the clone that the code runs from; empty for an installed package."""
    folder = Path(__file__).parents[2]
    if not (folder / ".git").exists():
        return {}
    try:
        return {
            "commit": _git(folder, "rev-parse", "HEAD"),
            "dirty": bool(_git(folder, "status", "--porcelain")),
        }
    except (OSError, subprocess.CalledProcessError):
        return {}


def _git(folder: Path, *words: str) -> str:
    # Without locks: `status` would write the index, and a run that is killed there leaves the clone locked.
    command = ["git", "--no-optional-locks", "-C", str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@lru_cache
def device_name(device: torch.device) -> str:
    """Return the model name of the GPU or of the CPU."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return cpu_name()
