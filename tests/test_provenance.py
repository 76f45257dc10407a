"""Where numbers come from: asking the clone leaves it alone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tunesweep import provenance


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


def test_asking_a_clone_takes_no_lock_and_writes_nothing(tmp_path: Path) -> None:
    """A run that is killed while git writes its index would leave the clone locked."""
    git(tmp_path, "init")
    (tmp_path / "file").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "1")
    os.utime(tmp_path / "file", (0, 0))  # its content is the same, which `git status` would note in the index
    index = tmp_path / ".git" / "index"
    before = index.read_bytes()
    assert provenance._git(tmp_path, "status", "--porcelain") == ""
    assert index.read_bytes() == before
    (tmp_path / "file").write_text("2")
    assert provenance._git(tmp_path, "status", "--porcelain") == "M file"
