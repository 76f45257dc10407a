"""A sweep trained in groups against the same sweep run by run: one warm worker, the same kernels.

Twenty-four points (four ranks, three rates, two seeds of LoRA on MiniLM and film reviews), each way from an
empty store, in turn; wall clock from the command line to the table. Beside it the training alone, scoring of
the select split included, and how far accuracies differ.

    python benchmarks/fused.py [--pairs 5] [--train 500] [--test 200] [--group 8]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from results import keep, ratio, timed, training

from tunesweep.store import Store

SWEEP = ("method=lora", "lora.r=2,4,8,16", "train.lr=3e-4,1e-3,3e-3", "seed=0,1")


def main() -> None:
    given = arguments()
    ways = {"separate": "never", "fused": str(given.group)}
    rounds: list[dict[str, dict[str, Any]]] = []
    for number in range(given.pairs):
        order = list(ways) if number % 2 == 0 else list(ways)[::-1]
        rounds.append({name: carried_out(given, ways[name]) for name in order})
    columns = {name: [each[name]["seconds"] for each in rounds] for name in ways}
    trained = {name: [each[name]["training"] for each in rounds] for name in ways}
    keep(
        "fused",
        {
            "points": 24,
            **{key: getattr(given, key) for key in ("train", "test", "group")},
            **{f"seconds_{name}": median(column) for name, column in columns.items()},
            **{f"training_{name}": median(column) for name, column in trained.items()},
            "sweep": ratio(columns["separate"], columns["fused"]),
            "training": ratio(trained["separate"], trained["fused"]),
            "accuracies_differ_by": differ(rounds[-1]["separate"], rounds[-1]["fused"]),
        },
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--train", type=int, default=500, help="training examples")
    parser.add_argument("--test", type=int, default=200, help="scored examples")
    parser.add_argument("--group", type=int, default=8, help="runs in one pass")
    return parser.parse_args()


def carried_out(given: argparse.Namespace, fuse: str) -> dict[str, Any]:
    """Return the seconds of the sweep and of its training, and its accuracies by point."""
    limit = f"dataset.limit={{train: {given.train}, select: 100, test: {given.test}}}"
    with tempfile.TemporaryDirectory() as store:
        place = (f"runtime.store={store}", "runtime.wandb.mode=disabled", f"runtime.fuse={fuse}")
        seconds, _ = timed(["train.py", "-m", *SWEEP, limit, *place])
        records = Store(Path(store)).records()
    scores = {record.name: record.metrics["test"]["accuracy"] for record in records}
    return {"seconds": seconds, "training": training(records), "scores": scores}


def differ(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Return the largest difference between accuracies of the same point."""
    assert one["scores"].keys() == other["scores"].keys()
    return max(abs(one["scores"][name] - other["scores"][name]) for name in one["scores"])


if __name__ == "__main__":
    main()
