"""What no readable record needs, run by run, and what half-done or broken writing left behind."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from tunesweep.care import tree
from tunesweep.record import RunRecord
from tunesweep.store import SUFFIXES, Store

MOMENT_S = 600  # writing a file takes less
DAY_S = 24 * 3600  # scoring what is being exported may take hours, in which nothing is written
CHECKPOINT = "checkpoint*"  # in a run's work folder
# Failures after which the same command goes on from a checkpoint, as it does where there is no record at all.
RESUMABLE = frozenset(
    {"interrupted", "lost", "timeout", "out_of_memory", "storage", "not started", "source failed"}
)
_PART = re.compile(r"\.part(-\d+)?$")
_EXPORT = re.compile(r"\.[0-9A-Za-z_-]+-[a-z0-9_]{8}$")  # as tempfile names it


@dataclass(frozen=True)
class Waste:
    """A file or folder that may go, why, and its size in bytes."""

    path: Path
    why: str
    size: int


def of_run(store: Store, run_id: str, record: RunRecord | None, checkpoints: bool) -> Iterator[Waste]:
    """Yield what is left of a run that nobody is carrying out; `checkpoints` gives up those, too."""
    work = store.path("work", run_id)
    if checkpoints or not resumable(work, record):
        yield from _waste(work, "of an attempt that ended")
    needed = needs(record)
    for kind in ("predictions", "adapters"):
        path = store.path(kind, run_id)
        if not any(PurePath(file).is_relative_to(store.relative(path)) for file in needed):
            yield from _waste(path, "no finished run names it")
    if record is None:
        yield from _waste(store.path("exports", run_id), "its run has no record")


def needs(record: RunRecord | None) -> set[str]:
    """Return the paths below the store that a finished run, and verifying it, need."""
    if record is None or not record.succeeded:
        return set()
    files = record.integrity.get("files")
    return {str(path) for path in (*record.artefacts.values(), *(files if isinstance(files, dict) else ()))}


def resumable(work: Path, record: RunRecord | None) -> bool:
    """Whether the same command would go on from what lies in a work folder."""
    ended = record is not None and (record.failure or {}).get("class") not in RESUMABLE
    whole = (path for path in work.glob(CHECKPOINT) if not path.name.endswith((".part", ".broken")))
    return not ended and any(whole)


def leftovers(store: Store) -> Iterator[Waste]:
    """Yield what was never finished being written, after a while, and what was set aside as unreadable."""
    for kind in SUFFIXES:
        for path in tree.entries(store.root / kind):
            if path.name.endswith(".broken"):
                yield from _waste(path, "set aside as unreadable")
            elif time.time() - tree.newest(path) > _patience(kind, path):
                yield from _waste(path, "never written to its end")


def _patience(kind: str, path: Path) -> float:
    """Return for how many seconds a file or folder may be on its way; for ever, if its name is final."""
    if _PART.search(path.name):
        return MOMENT_S
    return DAY_S if kind == "exports" and _EXPORT.fullmatch(path.name) else math.inf


def _waste(path: Path, why: str) -> Iterator[Waste]:
    if tree.is_ours(path):
        yield Waste(path, why, tree.size(path))
