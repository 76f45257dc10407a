"""Write the tables of docs/statistics.md: how often intervals and tests of a report are right, by simulation.

    python docs/make_statistics.py [--check]

Runs are drawn, not trained. An example is easy or hard; a run of a method answers it with a probability that
depends on the example and on the run's seed; then the functions that make a report's table are asked.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from tunesweep.report.markdown import markdown_table
from tunesweep.stats.cells import Cell, difference, estimate
from tunesweep.stats.multiple import holm

PAGE = Path(__file__).parent / "statistics.md"
EXAMPLES = 2000
SEEDS, SPREADS = (3, 5, 10), (0.003, 0.01, 0.02)
CELLS, TABLES, ROWS = 4000, 1000, 5
LEVEL, NOMINAL = 0.05, 0.93
EASY, HARD, SHARE = 0.94, 0.12, 0.85  # probabilities of being right, and how many examples are easy
MEAN = SHARE * EASY + (1 - SHARE) * HARD

Rng = np.random.Generator


def examples(rng: Rng) -> np.ndarray:
    """Draw the probability [examples] of each example of a test split."""
    return np.where(rng.random(EXAMPLES) < SHARE, EASY, HARD)


def cell(rng: Rng, easy: np.ndarray, seeds: int, spread: float, ahead: float = 0.0) -> Cell:
    """Draw the runs of a method: its seeds move all probabilities, and `ahead` its own mean."""
    right = easy + ahead + rng.normal(0, spread, (seeds, 1))
    return Cell((rng.random((seeds, EXAMPLES)) < right).astype(float))


def coverage(seeds: int, spread: float, times: int = CELLS) -> float:
    """Return how often the 95 % interval of a cell holds the mean that it was drawn from."""
    rng = np.random.default_rng(seeds)
    found = (estimate(cell(rng, examples(rng), seeds, spread)).interval() for _ in range(times))
    return sum(low <= MEAN <= high for low, high in found) / times


def told_apart(cells: Sequence[Cell]) -> list[float]:
    """Return the corrected p-values of all pairs, as a table has them; the first is of the first two rows."""
    return holm([difference(a, b).p for a, b in combinations(cells, 2)])


def false_alarms(seeds: int, spread: float, times: int = TABLES) -> float:
    """Return in how many tables of equal methods some pair is called different."""
    return _share(seeds, spread, times, 0.0, lambda p: min(p) < LEVEL)


def power(seeds: int, spread: float, ahead: float, times: int = TABLES) -> float:
    """Return in how many tables the first row is told from the second, which it leads as it does all."""
    return _share(seeds, spread, times, ahead, lambda p: p[0] < LEVEL)


def _share(
    seeds: int, spread: float, times: int, ahead: float, found: Callable[[list[float]], bool]
) -> float:
    rng, count = np.random.default_rng(seeds), 0
    for _ in range(times):
        easy = examples(rng)
        leads = [-ahead, *[0.0] * (ROWS - 1)]  # lower, so that no probability is above one
        count += found(told_apart([cell(rng, easy, seeds, spread, lead) for lead in leads]))
    return count / times


def page(text: str) -> str:
    """Return the page with its three tables written anew."""
    for name, table in {"coverage": _coverage(), "alarms": _alarms(), "power": _power()}.items():
        marks = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        pattern = f"({re.escape(marks[0])}).*({re.escape(marks[1])})"
        text = re.sub(
            pattern, lambda found, new=table: f"{found[1]}\n{new}\n{found[2]}", text, flags=re.DOTALL
        )
    return text


def _coverage() -> str:
    def shown(seeds: int, spread: float) -> str:
        found = coverage(seeds, spread)
        return f"{found:.1%}" + ("" if found >= NOMINAL else f" (short by {0.95 - found:.1%})")

    rows = [[str(seeds), *(shown(seeds, spread) for spread in SPREADS)] for seeds in SEEDS]
    return markdown_table(["seeds", *(f"spread {100 * spread:g} points" for spread in SPREADS)], rows, text=1)


def _alarms() -> str:
    rows = [[str(seeds), *(f"{false_alarms(seeds, s):.1%}" for s in SPREADS)] for seeds in SEEDS]
    return markdown_table(["seeds", *(f"spread {100 * spread:g} points" for spread in SPREADS)], rows, text=1)


def _power() -> str:
    gaps = (0.01, 0.02, 0.05)
    rows = [[str(seeds), *(f"{power(seeds, 0.005, gap):.1%}" for gap in gaps)] for seeds in SEEDS]
    return markdown_table(["seeds", *(f"gap {100 * gap:g} points" for gap in gaps)], rows, text=1)


def main() -> None:
    """Write the page, or say that it is not up to date."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail if it is out of date")
    text = PAGE.read_text(encoding="utf-8")
    check, new = parser.parse_args().check, page(text)
    if check:
        sys.exit(f"{PAGE} is not what is drawn: run docs/make_statistics.py" if new != text else 0)
    PAGE.write_text(new, encoding="utf-8")
    print(f"written: {PAGE}")


if __name__ == "__main__":
    main()
