"""How a worker ends that is dismissed."""

from __future__ import annotations

import subprocess
import sys

LEAVES = """
import atexit
from tunesweep.sweep import worker

class Torn:
    def __del__(self):
        print("taken apart")

torn = Torn()
atexit.register(print, "last words", flush=True)
print("all that was said")
worker._leave()
"""


def test_a_worker_leaves_with_its_exit_handlers_and_takes_nothing_apart() -> None:
    left = subprocess.run([sys.executable, "-c", LEAVES], capture_output=True, text=True, check=False)
    assert (left.returncode, left.stderr) == (0, "")
    assert left.stdout.splitlines() == ["all that was said", "last words"]
