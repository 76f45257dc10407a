"""Where a sweep writes: whether it may, and how much room there is."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from tunesweep.doctor.finding import FAILS, NOTE, OK, Finding

CACHE = "TUNESWEEP_CACHE"
# Bytes. The main sweep leaves 2.4 MB by its plan; caches and checkpoints of adapters come on top.
NEEDED = 100_000_000
# A full model's checkpoint holds its weights and two moments: 12 bytes a weight.
PLENTY = 5_000_000_000


def cache_folder(store: Path) -> Path:
    """Return the cache as conf/runtime/default.yaml has it."""
    return Path(os.environ.get(CACHE) or store / "cache")


def store(folder: Path) -> Finding:
    """Say whether the store can be written to."""
    return _writable("store", folder, "name another folder by runtime.store=FOLDER")


def cache(folder: Path) -> Finding:
    """Say whether the cache can be written to."""
    return _writable("cache", cache_folder(folder), f"name another folder by {CACHE}=FOLDER")


def disk(folder: Path) -> Finding:
    """Say how much room there is for store and cache, whichever has less."""
    places = [nearest(folder), nearest(cache_folder(folder))]
    free, place = min((shutil.disk_usage(place).free, str(place)) for place in places)
    found = f"{free / 1e9:,.1f} GB free at {place}"
    if free < NEEDED:
        return Finding("disk", FAILS, found, "free some space, or name other folders")
    if free < PLENTY:
        return Finding(
            "disk", NOTE, found, "enough for adapters, little for whole models and their checkpoints"
        )
    return Finding("disk", OK, found)


def nearest(path: Path) -> Path:
    """Return the folder itself, or the one above it in which it would be made."""
    path = path.expanduser().absolute()
    return next(place for place in (path, *path.parents) if place.exists())


def _writable(check: str, folder: Path, remedy: str) -> Finding:
    try:
        with tempfile.TemporaryFile(dir=nearest(folder)) as file:
            file.write(bytes(4096))
            file.flush()
    except OSError as error:
        return Finding(check, FAILS, f"{folder} cannot be written to ({error.strerror or error})", remedy)
    return Finding(check, OK, f"{folder} can be written to")
