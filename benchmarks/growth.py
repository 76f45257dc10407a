"""How a sweep's time grows: with examples, with tokens and with points, each sixteen times as many.

MiniLM and LoRA r 8, one worker. Examples and tokens: seconds of training for each of them, medians of three
seeds. Points: seconds from one point's end to the next, of the first two and of all thirty-two after the
first; and what the process holds as the second and the last point begin to train. 1.0 is linear.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterable
from datetime import datetime
from statistics import median
from typing import Any

from results import keep, timed

from tunesweep.record import RunRecord
from tunesweep.store import Store

EXAMPLES = (128, 512, 2048)
TOKENS = (16, 64, 256)  # the longest text, of film reviews of some hundred tokens
POINTS, FEW = 33, 2
SEEDS = "seed=0,1,2"
ALIKE = ("method=lora", "train.epochs=1", "dataset.limit.select=32", "dataset.limit.test=32")


def main() -> None:
    argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0]).parse_args()
    examples = swept(f"dataset.limit.train={listed(EXAMPLES)}", SEEDS, "encoding.max_length=32")
    tokens = swept("dataset=imdb", "dataset.limit.train=128", f"encoding.max_length={listed(TOKENS)}", SEEDS)
    points = swept(f"seed={listed(range(POINTS))}", "dataset.limit.train=32")
    keep(
        "growth",
        {
            "examples": per_unit(examples, EXAMPLES, limit, lambda r: r.cost["seconds"]["steps"] / limit(r)),
            "tokens": per_unit(tokens, TOKENS, longest, lambda r: 1 / r.cost["tokens_per_s"]),
            "points": per_point(points),
        },
    )


def listed(numbers: Iterable[int]) -> str:
    return ",".join(map(str, numbers))


def swept(*words: str) -> list[RunRecord]:
    """Return the records of a sweep from an empty store, in the order in which its points ended."""
    with tempfile.TemporaryDirectory() as store:
        place = (f"runtime.store={store}", "runtime.wandb.mode=disabled", "runtime.workers=1")
        timed(["train.py", "-m", *ALIKE, *words, *place])
        return sorted(Store(store).records(), key=lambda record: record.finished)


def limit(record: RunRecord) -> int:
    return int(record.config["dataset"]["limit"]["train"])


def longest(record: RunRecord) -> int:
    return int(record.config["encoding"]["max_length"])


def per_unit(
    records: list[RunRecord],
    sizes: tuple[int, ...],
    size_of: Callable[[RunRecord], int],
    seconds: Callable[[RunRecord], float],
) -> dict[str, Any]:
    """Return the seconds for each at every size, and how many times as long it takes at the largest."""
    found = [median(seconds(record) for record in records if size_of(record) == size) for size in sizes]
    return {"sizes": sizes, "seconds_each": found, "growth": round(found[-1] / found[0], 3)}


def per_point(records: list[RunRecord]) -> dict[str, Any]:
    """Return the seconds a point of the first few and of all, and what their process held."""
    ends = [datetime.fromisoformat(record.finished).timestamp() for record in records]
    each = [(ends[count] - ends[0]) / count for count in (FEW, POINTS - 1)]
    held = [record.cost["peak_memory_bytes"] - record.cost["memory_bytes"] for record in records]
    memory = {"held_second": held[1], "held_last": held[-1], "growth_bytes": held[-1] - held[1]}
    return {
        "sizes": (FEW, POINTS - 1),
        "seconds_each": each,
        "growth": round(each[-1] / each[0], 3),
    } | memory


if __name__ == "__main__":
    main()
