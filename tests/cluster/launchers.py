"""The command line in a process of its own, under one of Hydra's launchers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesweep.store import Store

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "COLUMNS": "200"}


@dataclass
class Outcome:
    """What a command came to."""

    status: int
    output: str
    store: Store

    def records(self) -> dict[str, Any]:
        return {record.run_id: record for record in self.store.records()}


def carry(folder: Path, cache: Path, launcher: Sequence[str], *words: str) -> Outcome:
    """Run a sweep from a folder of its own, to which its store is relative, as a user's is."""
    folder.mkdir(exist_ok=True)
    place = ["runtime.store=store", f"runtime.cache={cache}", "runtime.wandb.mode=disabled"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), "-m", *words, *place, "runtime.threads=1", *launcher],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env=ENVIRONMENT,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, Store(folder / "store"))


@contextmanager
def ray_cluster(folder: Path) -> Iterator[str]:
    """Start two Ray nodes of one CPU each, whose jobs begin in another folder, and yield their address."""
    nodes = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("nodes.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=ENVIRONMENT,
    )
    with nodes:
        assert nodes.stdout
        line = next((line for line in nodes.stdout if line.startswith("address ")), None)
        assert line, "no Ray cluster could be started"
        yield line.split()[1]
        nodes.communicate()
