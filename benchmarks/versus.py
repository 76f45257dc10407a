"""The main sweep against transformers' Trainer with PEFT: wall clock from the command line to the table.

Six points (LoRA and QLoRA at three ranks, MiniLM, film reviews, two epochs, batches of 32), each from an
empty store, in turn, so that a machine that grows slower slows all:

- ours: one command, checks of each row included, runs trained in one pass where they can be (`--fuse`);
- padded: peers/padded.py, a process a point, every text padded to the maximum;
- dynamic: peers/dynamic.py, the same Trainer at its best in one process.

    python benchmarks/versus.py [--pairs 5] [--train 2000] [--test 1000] [--fuse auto]

The data are the sweep's own splits. What was found is kept by results.py.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from hydra import compose, initialize_config_dir
from results import keep, ratio

from tunesweep import door
from tunesweep.config import RunConfig
from tunesweep.data.readers import load
from tunesweep.models import sources
from tunesweep.store import Store

ROOT = Path(__file__).parents[1]
POINTS = [f"{method}:{r}" for method in ("lora", "qlora") for r in (4, 8, 16)]
SWEEP = ("method=lora,qlora", "lora.r=4,8,16")
Found = tuple[float, list[float]]  # wall seconds, accuracies of the six points


def main() -> None:
    given = arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = prepare(folder, given)
        ways: dict[str, Callable[[], Found]] = {
            "ours": lambda: ours(folder, given),
            **{peer: PEERS[peer](folder, model) for peer in given.peers.split(",")},
        }
        rounds = [one_round(ways, number) for number in range(given.pairs)]
    found: dict[str, Any] = {"points": POINTS, "train": given.train, "test": given.test, "fuse": given.fuse}
    for name in ways:
        seconds = [each[name][0] for each in rounds]
        found[name] = {"seconds": median(seconds), "accuracies": rounds[-1][name][1]}
        if name != "ours":
            found[name] |= ratio(seconds, [each["ours"][0] for each in rounds])
    keep("versus", found)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--train", type=int, default=2000, help="training examples")
    parser.add_argument("--test", type=int, default=1000, help="scored examples")
    parser.add_argument("--fuse", default="auto", help="runtime.fuse of ours")
    parser.add_argument("--peers", default="padded,dynamic")
    return parser.parse_args()


def one_round(ways: dict[str, Callable[[], Found]], number: int) -> dict[str, Found]:
    """Carry every way out once; every second round in the opposite order."""
    order = list(ways) if number % 2 == 0 else list(ways)[::-1]
    return {name: ways[name]() for name in order}


def prepare(folder: Path, given: argparse.Namespace) -> Path:
    """Write the splits of the sweep as CSV, and return the folder of its model."""
    door.register()
    with initialize_config_dir(str(door.conf_folder()), version_base="1.3"):
        config: RunConfig = door.to_run_config(compose("config", overrides=["method=lora", limit(given)]))
    splits = load(config.dataset, config.seeds.split)
    for split in ("train", "select", "test"):
        examples = getattr(splits, split)
        with (folder / f"{split}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label"])
            answers = (splits.labels.index(label) for label in examples.labels)
            writer.writerows(zip(examples.inputs, answers, strict=True))
    return Path(sources.weights_folder(config.model, Path(config.runtime.cache)))


def limit(given: argparse.Namespace) -> str:
    return f"dataset.limit={{train: {given.train}, select: 200, test: {given.test}}}"


def ours(folder: Path, given: argparse.Namespace) -> Found:
    with tempfile.TemporaryDirectory(dir=folder) as store:
        place = [f"runtime.store={store}", "runtime.wandb.mode=disabled", f"runtime.fuse={given.fuse}"]
        seconds, _ = timed(["train.py", "-m", *SWEEP, limit(given), *place])
        records = sorted(Store(Path(store)).records(), key=lambda record: record.name)
    scores = {record.name: record.metrics["test"]["accuracy"] for record in records}
    return seconds, [scores[f"method={m} lora.r={r}"] for m, r in (point.split(":") for point in POINTS)]


def padded(folder: Path, model: Path) -> Callable[[], Found]:
    def carry_out() -> Found:
        seconds, scores = 0.0, []
        for method, r in (point.split(":") for point in POINTS):
            words = ["--data", str(folder), "--model", str(model), "--method", method, "--r", r]
            took, lines = timed(["benchmarks/peers/padded.py", *words])
            seconds, scores = seconds + took, [*scores, *accuracies(lines)]
        return seconds, scores

    return carry_out


def dynamic(folder: Path, model: Path) -> Callable[[], Found]:
    def carry_out() -> Found:
        words = ["--data", str(folder), "--model", str(model), "--points", ",".join(POINTS)]
        seconds, lines = timed(["benchmarks/peers/dynamic.py", *words])
        return seconds, accuracies(lines)

    return carry_out


PEERS = {"padded": padded, "dynamic": dynamic}


def timed(words: list[str]) -> tuple[float, list[str]]:
    """Return wall seconds of a command of a fresh process, and the lines that it printed."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - began, done.stdout.splitlines()


def accuracies(lines: list[str]) -> list[float]:
    return [json.loads(line)["accuracy"] for line in lines if line.startswith('{"')]


if __name__ == "__main__":
    main()
