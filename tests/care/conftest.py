from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from golden_store import GOLDEN
from tunesweep.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a real store: two finished runs with weights, and one that diverged."""
    return Store(shutil.copytree(GOLDEN, tmp_path / "store"))


@pytest.fixture
def ours(tmp_path: Path) -> Store:
    """Return a store with nothing in it."""
    return Store(tmp_path / "ours")


@pytest.fixture
def tree() -> Callable[[Path], dict[str, tuple[bytes, int]]]:
    """Return what lies below a folder: names, contents and times of change."""

    def look(root: Path) -> dict[str, tuple[bytes, int]]:
        return {
            str(path.relative_to(root)): (_content(path), path.lstat().st_mtime_ns)
            for path in sorted(root.rglob("*"))
        }

    return look


def _content(path: Path) -> bytes:
    if path.is_symlink():
        return bytes(path.readlink())
    return path.read_bytes() if path.is_file() else b""
