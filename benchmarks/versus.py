"""The main sweep against transformers' Trainer with PEFT: wall clock from the command line to the table.

Six points (LoRA and QLoRA at three ranks, MiniLM, film reviews, two epochs, batches of 32), each from an
empty store, in turn, so that a machine that grows slower slows all:

- ours: one command, checks of each row included, runs trained in one pass where they can be (`--fuse`), by
  a worker a core (`--workers`);
- padded: peers/padded.py, a process a point, every text padded to the maximum;
- dynamic: peers/dynamic.py, the same Trainer at its best in one process.

    python benchmarks/versus.py [--pairs 5] [--train 2000] [--test 1000] [--fuse auto] [--workers 2]

The data are the sweep's own splits. What was found is kept by results.py.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from hydra import compose, initialize_config_dir
from results import keep, ratio, timed, training

from tunesweep import door
from tunesweep.config import RunConfig
from tunesweep.data.readers import load
from tunesweep.hardware import native_precision
from tunesweep.models import sources
from tunesweep.store import Store
from tunesweep.sweep.allotment import cores

POINTS = [f"{method}:{r}" for method in ("lora", "qlora") for r in (4, 8, 16)]
SWEEP = ("method=lora,qlora", "lora.r=4,8,16")
# Wall seconds, those of training (of workers side by side: a worker's share), accuracies of the six points.
Found = tuple[float, float, list[float]]


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
    size = {"train": given.train, "test": given.test}
    found: dict[str, Any] = {"points": POINTS, **size, "fuse": given.fuse, "workers": given.workers}
    keep("versus", found | {name: summary(name, rounds) for name in ways})


def summary(name: str, rounds: list[dict[str, Found]]) -> dict[str, Any]:
    """Return medians of one way, and how many times as long as ours it took."""
    wall, training = ([each[name][place] for each in rounds] for place in (0, 1))
    found = {"seconds": median(wall), "training": median(training), "accuracies": rounds[-1][name][2]}
    if name == "ours":
        return found
    ours_wall, ours_training = ([each["ours"][place] for each in rounds] for place in (0, 1))
    return found | ratio(wall, ours_wall) | {"training_ratio": ratio(training, ours_training)["ratio"]}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--train", type=int, default=2000, help="training examples")
    parser.add_argument("--test", type=int, default=1000, help="scored examples")
    parser.add_argument("--fuse", default="auto", help="runtime.fuse of ours")
    parser.add_argument("--workers", type=int, default=cores(), help="runtime.workers of ours")
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
    write_splits(config, folder)
    return Path(sources.weights_folder(config.model, Path(config.runtime.cache)))


def write_splits(config: RunConfig, folder: Path) -> None:
    """Write a point's splits as CSV: a text, and the number of its class; two texts by the point's joiner."""
    splits, joiner = load(config.dataset, config.seeds.split), config.encoding.get("joiner") or "\n"
    for split in ("train", "select", "test"):
        examples = getattr(splits, split)
        texts = (each if isinstance(each, str) else joiner.join(each) for each in examples.inputs)
        with (folder / f"{split}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label"])
            answers = (splits.labels.index(label) for label in examples.labels)
            writer.writerows(zip(texts, answers, strict=True))


def limit(given: argparse.Namespace) -> str:
    return f"dataset.limit={{train: {given.train}, select: 200, test: {given.test}}}"


def ours(folder: Path, given: argparse.Namespace) -> Found:
    with tempfile.TemporaryDirectory(dir=folder) as store:
        place = [f"runtime.store={store}", "runtime.wandb.mode=disabled"]
        how = [f"runtime.fuse={given.fuse}", f"runtime.workers={given.workers}"]
        seconds, _ = timed(["train.py", "-m", *SWEEP, limit(given), *place, *how])
        records = sorted(Store(Path(store)).records(), key=lambda record: record.name)
    scores = {record.name: record.metrics["test"]["accuracy"] for record in records}
    names = [f"method={method} lora.r={r}" for method, r in (point.split(":") for point in POINTS)]
    return seconds, training(records) / given.workers, [scores[name] for name in names]


def padded(folder: Path, model: Path) -> Callable[[], Found]:
    def carry_out() -> Found:
        seconds, lines = 0.0, []
        for method, r in (point.split(":") for point in POINTS):
            words = ["--data", str(folder), "--model", str(model), "--method", method, "--r", r, *native()]
            took, printed = timed(["benchmarks/peers/padded.py", *words])
            seconds, lines = seconds + took, [*lines, *printed]
        return seconds, *told(lines)

    return carry_out


def dynamic(folder: Path, model: Path) -> Callable[[], Found]:
    def carry_out() -> Found:
        words = ["--data", str(folder), "--model", str(model), "--points", ",".join(POINTS), *native()]
        seconds, lines = timed(["benchmarks/peers/dynamic.py", *words])
        return seconds, *told(lines)

    return carry_out


def native() -> list[str]:
    """Tell a peer what this machine computes in: elsewhere bf16 is emulated, and many times slower."""
    return ["--precision", native_precision("auto")]


PEERS = {"padded": padded, "dynamic": dynamic}


def told(lines: list[str]) -> tuple[float, list[float]]:
    """Return what the points of a peer said: seconds of training in all, and accuracies."""
    points = [json.loads(line) for line in lines if line.startswith('{"')]
    return sum(point["seconds_training"] for point in points), [point["accuracy"] for point in points]


if __name__ == "__main__":
    main()
