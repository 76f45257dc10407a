from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from command_line import CommandLine
from tunesweep import door


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CommandLine:
    """Return the command line with a store of its own, on which points succeed at once."""
    return CommandLine(monkeypatch, tmp_path)


@pytest.fixture
def conf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a copy of conf/ that the command line reads, and a test may edit."""
    folder = tmp_path / "conf"
    shutil.copytree(door.conf_folder(), folder)
    monkeypatch.setattr(door, "conf_folder", lambda: folder)
    return folder


@pytest.fixture
def experiment(conf: Path) -> Callable[[str], None]:
    """Write the experiment `mine`."""

    def write(text: str) -> None:
        (conf / "experiment" / "mine.yaml").write_text(f"# @package _global_\n{text}\n")

    return write
