"""What a sweep costs beside its training: the main sweep by one worker with two threads, from an empty store.

Its wall clock, less integrity checks, hashing and saving, against optimiser steps and scored batches of its
points, plus one start (planning and table of a finished sweep, and the imports of a worker). Then points that
differ in their seed alone: how much the process that carries them holds after the tenth beyond what it held
after the first. Exit 1 above a limit.
"""

from __future__ import annotations

import sys
import tempfile
from statistics import median
from typing import Any

from results import keep, timed

from tunesweep.record import RunRecord
from tunesweep.store import Store

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
        found = overhead(folder) | growth(folder)
    keep("sweep", found)
    sys.exit(found["ratio"] > LIMIT or found["growth_bytes"] > GROWTH)


def overhead(folder: str) -> dict[str, Any]:
    """Return where the main sweep's wall clock goes, and `ratio`: (wall - checks - saving - start) / work."""
    wall, records = swept(f"{folder}/main", SWEEP)
    start = median(
        timed(["train.py", *SWEEP, *WORKER, f"runtime.store={folder}/main"])[0] for _ in range(STARTS)
    )
    start += median(timed(["-c", IMPORTS])[0] for _ in range(STARTS))
    parts = {
        "seconds_checks": total(records, CHECKS),
        "seconds_hashing": total(records, ("hashing",)),
        "seconds_saving": total(records, SAVING),
    }
    work, rest = total(records, WORK), wall - sum(parts.values())
    ratio = round((rest - start) / work, 3)
    whole = {"points": len(records), "seconds": wall, "seconds_work": work, "seconds_start": start}
    return whole | parts | {"ratio": ratio, "limit": LIMIT}


def growth(folder: str) -> dict[str, Any]:
    """Return the bytes that the worker holds after each of ten points alike, and how much they grow.

    Read when the next point begins to train. What a process pays once, at its first steps (code of the
    libraries, compiled kernels), is in the first figure: that before it stands beside.
    """
    _, records = swept(f"{folder}/alike", POINTS)
    ordered = sorted(records, key=lambda record: record.started)
    before, *held = (record.cost["peak_memory_bytes"] - record.cost["memory_bytes"] for record in ordered)
    grown = {"growth_bytes": held[-1] - held[0], "limit_growth_bytes": GROWTH}
    return {"held_before": before, "held_after_each": held} | grown


def swept(store: str, words: tuple[str, ...]) -> tuple[float, list[RunRecord]]:
    """Carry a sweep out in a store of its own; return its wall seconds and its records."""
    wall, _ = timed(["train.py", *words, *WORKER, f"runtime.store={store}"])
    return wall, Store(store).records()


def total(records: list[RunRecord], parts: tuple[str, ...]) -> float:
    """Return the seconds that these parts took in all points."""
    return sum(record.cost["seconds"].get(part, 0.0) for record in records for part in parts)


if __name__ == "__main__":
    main()
