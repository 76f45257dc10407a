"""Files and folders of a store, seen without following a link."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path


def is_ours(path: Path) -> bool:
    """Whether this is a file or folder in a folder of its own store: neither is a link."""
    return path.exists() and not path.is_symlink() and not path.parent.is_symlink()


def entries(folder: Path) -> list[Path]:
    """Return what lies in a folder, sorted, links left out; nothing if the folder itself is a link."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.is_symlink())


def links(folder: Path) -> list[Path]:
    """Return the links that `entries` leaves out."""
    if folder.is_symlink():
        return [folder]
    return sorted(path for path in folder.iterdir() if path.is_symlink()) if folder.is_dir() else []


def size(path: Path) -> int:
    """Return the bytes of a file, or of all files below a folder."""
    return sum(status.st_size for status in _below(path) if not stat.S_ISDIR(status.st_mode))


def newest(path: Path) -> float:
    """Return when a file, or anything below a folder, was last written to."""
    return max((status.st_mtime for status in _below(path)), default=0.0)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all below it; what links there lead to stays."""
    if path.is_dir():
        shutil.rmtree(path)  # does not follow links
    else:
        path.unlink(missing_ok=True)


def copy(source: Path, target: Path) -> None:
    """Copy a file's bytes and put them onto the disk; refuse a link, even one that was made just now."""
    handle = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(handle, "rb") as reader, target.open("xb") as writer:  # noqa: PTH123 - of a handle
        shutil.copyfileobj(reader, writer)
        writer.flush()
        os.fsync(writer.fileno())


def _below(path: Path) -> Iterator[os.stat_result]:
    paths = [str(path)]
    for folder, inner, files in os.walk(path, followlinks=False):
        paths += [os.path.join(folder, name) for name in (*inner, *files)]  # noqa: PTH118 - many, and text
    for name in paths:
        try:
            yield os.lstat(name)
        except FileNotFoundError:  # somebody else was faster
            continue
