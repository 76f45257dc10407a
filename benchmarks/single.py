"""One run against transformers' Trainer with PEFT at its best: LoRA on two models, batches and texts alike.

- minilm: film reviews, r 8, batches of 32, two epochs;
- smollm2: MultiNLI (two texts, three classes), SmolLM2-135M, r 8, batches of 8, one epoch.

Each side in a process of its own, in turn, so that a machine that grows slower slows all: wall clock from the
command line to the score, and the training alone, scoring of the select split and keeping of the best epoch
included, and how much of it is that scoring. Ours checks its row besides (score before training, reload,
merge), as it always does. The other side is peers/dynamic.py, which is given the weights that ours has
converted. Exit 1 where its training is faster than ours.

    TUNESWEEP_DATA=FOLDER python benchmarks/single.py [--pairs 5] [--cases minilm,smollm2]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from hydra import compose, initialize_config_dir
from results import keep, ratio, timed, training
from versus import native, write_splits

from tunesweep import door
from tunesweep.config import RunConfig
from tunesweep.models import sources
from tunesweep.store import Store

Found = tuple[float, float, float, float]  # seconds: all, training, of that scoring; and the accuracy
LIMIT = 1.0  # seconds of the Trainer's training over ours


@dataclass(frozen=True)
class Case:
    """A point in our words, and what the other side has to be told besides its data and its model."""

    words: tuple[str, ...]
    peer: tuple[str, ...]


CASES = {
    "minilm": Case(
        ("dataset.limit={train: 1000, select: 200, test: 500}", "train.lr=1e-3"), ("--lr", "1e-3")
    ),
    "smollm2": Case(
        (
            *("model=smollm2_135m", "dataset=multi_nli", "encoding.joiner='\\n'", "encoding.max_length=128"),
            *("dataset.limit={train: 240, select: 48, test: 96}", "train.batch_size=8"),
            *("train.epochs=1", "train.lr=5e-4"),
        ),
        (
            *("--lr", "5e-4", "--epochs", "1", "--batch", "8", "--labels", "3"),
            *("--targets", "q_proj,v_proj"),
        ),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--cases", default=",".join(CASES))
    given = parser.parse_args()
    rows = [measured(name, given.pairs) for name in given.cases.split(",")]
    keep("single", {"rows": rows, "limit": LIMIT})
    sys.exit(any(row["training"]["ratio"] < LIMIT for row in rows))


def measured(name: str, pairs: int) -> dict[str, Any]:
    """Return the medians of both sides, and how many times as long as ours the other took."""
    case = CASES[name]
    with tempfile.TemporaryDirectory() as folder:
        config = point(case)
        write_splits(config, Path(folder))
        weights = sources.weights_folder(config.model, Path(config.runtime.cache))  # converted, if need be
        ways = {
            "ours": lambda: ours(case, Path(config.runtime.cache) / "models"),
            "trainer": lambda: trainer(case, folder, str(weights)),
        }
        rounds = []
        for number in range(pairs):
            order = list(ways) if number % 2 == 0 else list(ways)[::-1]
            rounds.append({way: ways[way]() for way in order})
    columns = {way: list(zip(*(each[way] for each in rounds), strict=True)) for way in ways}
    return {
        "case": name,
        "examples": asdict(config.dataset.limit),
        **{f"seconds_{way}": median(columns[way][0]) for way in ways},
        **{f"training_{way}": median(columns[way][1]) for way in ways},
        **{f"scoring_{way}": median(columns[way][2]) for way in ways},
        **{f"accuracy_{way}": columns[way][3][-1] for way in ways},
        "wall": ratio(columns["trainer"][0], columns["ours"][0]),
        "training": ratio(columns["trainer"][1], columns["ours"][1]),
    }


def point(case: Case) -> RunConfig:
    door.register()
    with initialize_config_dir(str(door.conf_folder()), version_base="1.3"):
        return door.to_run_config(compose("config", overrides=["method=lora", "lora.r=8", *case.words]))


def ours(case: Case, models: Path) -> Found:
    with tempfile.TemporaryDirectory() as store:
        if models.exists():
            (Path(store) / "cache").mkdir()
            (Path(store) / "cache" / "models").symlink_to(models.resolve())
        place = [f"runtime.store={store}", "runtime.wandb.mode=disabled"]
        seconds, _ = timed(["train.py", "method=lora", "lora.r=8", *case.words, *place])
        (record,) = Store(Path(store)).records()
    scoring = record.cost["seconds"]["select"]
    return seconds, training([record]), scoring, record.metrics["test"]["accuracy"]


def trainer(case: Case, folder: str, weights: str) -> Found:
    words = ["--data", folder, "--model", weights, "--points", "lora:8", *case.peer, *native()]
    seconds, lines = timed(["benchmarks/peers/dynamic.py", *words])
    found = json.loads(next(line for line in lines if line.startswith('{"')))
    return seconds, found["seconds_training"], found["seconds_scoring"], found["accuracy"]


if __name__ == "__main__":
    main()
