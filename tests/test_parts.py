"""Files that are being written, and what killed processes leave of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tunesweep.parts import part_of
from tunesweep.store import write


def ended() -> int:
    """Return the id of a process that is no more."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path: Path) -> None:
    mine = part_of(tmp_path / "a.json")
    host = mine.name.split(".")[3]
    left = tmp_path / f".a.json.{host}.{ended()}.abcdef12.part"
    kept = [
        tmp_path / f".a.json.{host}.{os.getpid()}.abcdef12.part",  # of a process at work
        tmp_path / f".a.json.0123abcd.{ended()}.abcdef12.part",  # of another machine
        tmp_path / f".b.json.{host}.{ended()}.abcdef12.part",  # of another file
    ]
    for path in (left, *kept):
        path.write_text("half")
    write(tmp_path / "a.json", "whole")
    assert not left.exists()
    assert sorted(tmp_path.iterdir()) == sorted([*kept, tmp_path / "a.json"])
