"""What benchmarks found, with machine, versions and commit, in multirun/benchmarks/NAME.json.

`python docs/make_performance.py` takes it over and writes docs/performance.md from it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import packages_distributions, version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch

from tunesweep.hardware import cpu_name

if TYPE_CHECKING:
    from tunesweep.record import RunRecord

ROOT = Path(__file__).parents[1]
LIBRARIES = ("torch", "transformers", "peft", "pytorch-lightning", "bitsandbytes")
INSTALLED = {name for names in packages_distributions().values() for name in names}
FOLDER = Path("multirun") / "benchmarks"


def keep(name: str, found: dict[str, Any]) -> None:
    """Append what was measured to the history of a benchmark, and print it."""
    path = FOLDER / f"{name}.json"
    history = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    history.append({"measured": datetime.now(UTC).isoformat(timespec="seconds"), **machine(), **found})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(history, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1), flush=True)


def machine() -> dict[str, Any]:
    """Return what a figure depends on beside the code: device, cores, threads, versions; and the commit."""
    return {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "versions": {name: version(name) for name in LIBRARIES if name in INSTALLED},
        "commit": commit(),
    }


def commit() -> str | None:
    """Return the commit of this clone, if it is one."""
    words = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def ratio(slow: Sequence[float], fast: Sequence[float]) -> dict[str, Any]:
    """Return how many times as long the first takes: of the medians, and of each pair in its order."""
    pairs = [round(one / other, 3) for one, other in zip(slow, fast, strict=True)]
    return {"ratio": round(median(slow) / median(fast), 3), "pairs": pairs}


def timed(words: list[str]) -> tuple[float, list[str]]:
    """Return wall seconds of a Python command in a process of its own, and the lines that it printed."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    command = [sys.executable, *words]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")
    return seconds, done.stdout.splitlines()


def training(records: list[RunRecord]) -> float:
    """Return the seconds that training took in all runs; those of a group are counted once."""
    alone = sum(
        sum(record.cost["seconds"][part] for part in ("steps", "select"))
        for record in records
        if not grouped(record)
    )
    groups = sum(
        record.cost["group"]["training_minutes"] * 60 / record.cost["group"]["runs"]
        for record in records
        if grouped(record)
    )
    return alone + groups


def grouped(record: RunRecord) -> bool:
    return "group" in record.cost
