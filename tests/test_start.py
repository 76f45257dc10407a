"""What must start at once does not import torch."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tunesweep import identity
from tunesweep.config import RunConfig
from tunesweep.record import draft
from tunesweep.store import Store

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "transformers", "peft", "pytorch_lightning", "bitsandbytes", "datasets", "wandb")
CODE = f"""
import json, runpy, sys
sys.argv = sys.argv[1:]
try:
    if sys.argv[0] == "tunesweep":
        from tunesweep.cli import app
        app()
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    sys.stdout.flush()
    print()
    print(json.dumps(sorted(set({HEAVY!r}) & set(sys.modules))))
"""


def start(*words: str) -> tuple[str, list[str]]:
    """Run a command in a fresh process; return what it printed and which heavy modules it imported."""
    command = [sys.executable, "-c", CODE, *words]
    env = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    *lines, last = done.stdout.rstrip().splitlines()
    return "\n".join(lines), json.loads(last)


@pytest.fixture
def finished(make_config, tmp_path: Path) -> Store:
    """Return a store in which the points of `lora.r=4,8` have succeeded."""
    store = Store(tmp_path / "store")
    for r in (4, 8):
        put_success(store, make_config(f"lora.r={r}"))
    return store


def put_success(store: Store, config: RunConfig) -> None:
    identity.identify(config)
    record = draft(config)
    record.status = "succeeded"
    record.metrics = {
        "test": {"accuracy": 0.75},
        "protocol": {"metric": "accuracy", "split": "test", "chosen_on": "select"},
    }
    store.put(record)


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--cfg", "job"],
        ["--cfg", "job", "method=qlora", "lora.r=4"],
        ["-m", "lora.r=4", "--cfg", "job"],
    ],
)
def test_help_and_cfg_import_nothing_heavy(words: list[str]) -> None:
    printed, heavy = start("train.py", *words)
    assert heavy == []
    assert "target_modules" in printed


def test_a_finished_sweep_and_its_report_import_nothing_heavy(finished: Store, cache: Path) -> None:
    words = ["-m", "lora.r=4,8", f"runtime.store={finished.root}", f"runtime.cache={cache}"]
    printed, heavy = start("train.py", *words, f"hydra.sweep.dir={finished.root}/hydra")
    assert heavy == []
    assert printed.count("0.750") == 2
    again, heavy = start("tunesweep", "report", f"--store={finished.root}")
    assert heavy == []
    assert again.strip() == printed.strip()


def test_a_plan_imports_nothing_heavy_and_takes_little_for_many_points(tmp_path: Path, cache: Path) -> None:
    ranks = ",".join(str(r) for r in range(1, 51))
    words = ["method=lora,qlora", f"lora.r={ranks}", f"runtime.store={tmp_path}", f"runtime.cache={cache}"]
    began = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    printed, heavy = start("tunesweep", "plan", "--json", *words)
    assert heavy == []
    assert json.loads(printed)["totals"]["to_do"] == 100
    # Three seconds on a machine at rest, see benchmarks/start.py; at work it counts processor time threefold.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - began < 10
