"""What each worker computes on: GPUs of its own, or its share of the cores."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from tunesweep.config import RunConfig
from tunesweep.errors import BadConfig
from tunesweep.hardware import VISIBLE

THREADS = ("OMP_NUM_THREADS", "RAYON_NUM_THREADS")  # of torch, and of the tokenizers
PATIENCE_S = 30


@dataclass(frozen=True)
class Allotment:
    """An environment for each worker; `threads` is what each may use, null where nothing is divided."""

    environments: tuple[dict[str, str], ...]
    threads: int | None = None


ALONE = Allotment(({},))


def allot(workers: int | None, threads: int | None, device: str, each: int = 1) -> Allotment:
    """Divide GPUs or cores among workers, `each` GPUs for one; refuse more than there is to divide."""
    devices = [] if device == "cpu" else visible_devices()
    groups = [",".join(group) for group in zip(*[iter(devices)] * each, strict=False)]
    if devices and (workers or 1) > len(groups):
        has = "one GPU" if each == 1 else f"{each} GPUs (runtime.devices)"
        raise BadConfig(
            f"runtime.workers={workers or 1} is more than the {len(devices)} GPUs here allow: "
            f"one worker has {has}, so {len(groups)} is the most"
        )
    count = workers or len(groups) or 1
    share = _threads(count, threads)
    shared = dict.fromkeys(THREADS, str(share)) if share else {}
    places = [{VISIBLE: names} for names in groups[:count]] or [{} for _ in range(count)]
    return Allotment(tuple(shared | place for place in places), share)


def share_out(points: Sequence[RunConfig]) -> Allotment:
    """Return what each worker is given; a sweep has one number of workers."""
    asked = {(p.runtime.workers, p.runtime.device) for p in points}
    if len(asked) > 1:
        given = ", ".join(sorted({f"{workers} with runtime.device={device}" for workers, device in asked}))
        raise BadConfig(f"runtime.workers={given} must be one number and device for the whole sweep")
    workers, device = asked.pop()
    threads = max((p.runtime.threads or 0 for p in points), default=0) or None
    return allot(workers, threads, device, max(p.runtime.devices for p in points))


def _threads(workers: int, threads: int | None) -> int | None:
    """Return the threads of each worker: what was asked for, or an equal part of the cores."""
    available = cores()
    if workers * (threads or 1) > available:
        asked = f"runtime.workers={workers}" + (f" with runtime.threads={threads}" if threads else "")
        raise BadConfig(
            f"{asked} is more than the {available} cores that this process may use: all would wait for one "
            f"another, so let workers times threads be at most {available}"
        )
    return threads if threads or workers == 1 else available // workers


def cores() -> int:
    """Return how many cores this process may use, which a batch system may have made fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def visible_devices() -> list[str]:
    """Return the GPUs that CUDA would show, by the names it takes, without loading torch."""
    if VISIBLE in os.environ:
        names = [name.strip() for name in os.environ[VISIBLE].split(",")]
        hidden = next((i for i, name in enumerate(names) if name in ("", "-1")), len(names))
        return names[:hidden]  # as CUDA reads it: up to the first that is none
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, check=True, timeout=PATIENCE_S
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [str(i) for i, _ in enumerate(x for x in listed.stdout.splitlines() if x.startswith("GPU "))]
