"""What benchmarks found, with machine, versions and commit, in multirun/benchmarks/NAME.json.

`python docs/make_performance.py` takes it over and writes docs/performance.md from it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import torch

from tunesweep.provenance import device_name, git_state, versions

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
        "device": device_name(torch.device("cuda" if torch.cuda.is_available() else "cpu")),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "versions": versions(),
        "commit": git_state().get("commit"),
    }


def ratio(slow: Sequence[float], fast: Sequence[float]) -> dict[str, Any]:
    """Return how many times as long the first takes: of the medians, and of each pair in its order."""
    pairs = [round(one / other, 3) for one, other in zip(slow, fast, strict=True)]
    return {"ratio": round(median(slow) / median(fast), 3), "pairs": pairs}
