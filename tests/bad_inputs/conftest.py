"""A store with something to lose, and the command line that might."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tunesweep.record import RunRecord
from tunesweep.store import Store

TRAIN = Path(__file__).parents[2] / "train.py"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with an earlier run and its sweep."""
    store = Store(tmp_path / "store")
    store.put(RunRecord("earlier", "succeeded", "s0", "lora", {"seed": 0}))
    store.put_sweep("s0", {"started": "2026", "members": ["earlier"]})
    return store


@pytest.fixture
def intact(store: Store, cache: Path) -> Iterator[None]:
    """Nothing that was there is lost, and nothing half is left."""
    before = {path: path.read_bytes() for path in store.root.rglob("*.json")}
    yield
    assert {path: path.read_bytes() for path in before} == before
    left = [path for folder in (store.root, cache) for path in folder.rglob("*.part*")]
    assert left + list((store.root / "work").glob("*")) == []


@pytest.fixture
def command(tmp_path: Path, store: Store, cache: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line in a folder of its own."""

    def start(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        places = (f"runtime.store={store.root}", f"runtime.cache={cache}")
        quiet = ("runtime.progress=false", "runtime.wandb.mode=disabled")
        line = [sys.executable, TRAIN, "-m", *places, *quiet, *words]
        environment = os.environ | {"OMP_NUM_THREADS": "1"} | variables
        return subprocess.run(
            line, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )

    return start
