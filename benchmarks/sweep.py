"""What a sweep costs beside its training: the main sweep by one worker with two threads, from an empty store.

Its wall clock, less integrity checks, hashing and saving, against optimiser steps and scored batches of its
points, plus one start (planning and table of a finished sweep, and the imports of a worker). Then points that
differ in their seed alone: how much the process that carries them holds after the tenth beyond what it held
after the first. Exit 1 above a limit.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from tunesweep.record import RunRecord
from tunesweep.store import Store

ROOT = Path(__file__).parents[1]
SWEEP = ("method=lora,qlora", "lora.r=4,8,16")
ALIKE = 10
POINTS = (
    "method=lora",
    f"seed={','.join(str(seed) for seed in range(ALIKE + 1))}",  # the last one's start ends the tenth
    "train.epochs=1",
    "dataset.limit={train: 128, select: 64, test: 64}",
)
WORKER = ("runtime.workers=1", "runtime.threads=2", "runtime.wandb.mode=disabled")
STARTS = 5
LIMIT = 1.10  # of steps and scored batches, after one start is taken off
GROWTH = 50e6  # bytes from the first of the points alike to the tenth
CHECKS = ("check_network", "check_artefact")
SAVING = ("save", "keep")
WORK = ("steps", "select", "evaluate")
IMPORTS = "import torch, tunesweep.point, tunesweep.stages"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        slow = overhead(folder)
        grown = growth(folder)
    sys.exit(slow or grown)


def overhead(folder: str) -> bool:
    """Print where the main sweep's wall clock goes; return whether too much of it is ours."""
    wall, records = swept(f"{folder}/main", SWEEP)
    start = median(
        timed(["train.py", *SWEEP, *WORKER, f"runtime.store={folder}/main"]) for _ in range(STARTS)
    )
    start += median(timed(["-c", IMPORTS]) for _ in range(STARTS))
    parts = {
        "integrity checks": total(records, CHECKS),
        "hashing": total(records, ("hashing",)),
        "saving": total(records, SAVING),
    }
    work = total(records, WORK)
    rest = wall - sum(parts.values())
    ratio = (rest - start) / work
    print(f"main sweep, 1 worker, 2 threads: {wall:.1f} s for {len(records)} points")
    for name, seconds in parts.items():
        print(f"  {name:34} {seconds:7.1f} s")
    print(f"  {'optimiser steps and scored batches':34} {work:7.1f} s")
    print(f"  {'one start':34} {start:7.1f} s")
    print(f"(wall - checks - hashing - saving - start) / work = {ratio:.3f}, limit {LIMIT}")
    return ratio > LIMIT


def growth(folder: str) -> bool:
    """Print what the worker holds after each of ten points alike; return whether it grows.

    Read when the next point begins to train. What a process pays once, at its first steps (code of the
    libraries, compiled kernels), is in the first figure: it is printed beside it.
    """
    _, records = swept(f"{folder}/alike", POINTS)
    ordered = sorted(records, key=lambda record: record.started)
    before, *held = (record.cost["peak_memory_bytes"] - record.cost["memory_bytes"] for record in ordered)
    grown = held[-1] - held[0]
    print(f"held before the first point trained: {before / 1e6:.0f} MB")
    print(f"held after each of {ALIKE} points alike, MB: " + ", ".join(f"{size / 1e6:.0f}" for size in held))
    print(f"growth from the first to the last: {grown / 1e6:.0f} MB, limit {GROWTH / 1e6:.0f} MB")
    return grown > GROWTH


def swept(store: str, words: tuple[str, ...]) -> tuple[float, list[RunRecord]]:
    """Carry a sweep out in a store of its own; return its wall seconds and its records."""
    wall = timed(["train.py", *words, *WORKER, f"runtime.store={store}"])
    return wall, Store(store).records()


def timed(words: list[str]) -> float:
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - began


def total(records: list[RunRecord], parts: tuple[str, ...]) -> float:
    """Return the seconds that these parts took in all points."""
    return sum(record.cost["seconds"].get(part, 0.0) for record in records for part in parts)


if __name__ == "__main__":
    main()
