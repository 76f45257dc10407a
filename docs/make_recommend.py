"""Write what docs/recommend.md shows: advice on a drawn store, and how often advice is as right as it says.

    python docs/make_recommend.py [--draw | --check]

Stores are drawn, not trained, as in docs/make_statistics.py: five rows with drawn means and costs.
Each is asked for advice, as `tunesweep recommend` asks, and the true means say whether it is right.
`--draw` draws them anew, and keeps in docs/results/recommend.json what each was told: a CPU whose LAPACK
rounds otherwise moves a store or two from one bin to the next.
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from drawn_store import fill
from make_statistics import ROWS, cell, examples

from tunesweep.report.markdown import markdown_table
from tunesweep.report.reasons import sentences
from tunesweep.report.recommend import Wish, recommend
from tunesweep.report.render import build
from tunesweep.report.rows import Scope
from tunesweep.report.tuning import curve_table
from tunesweep.stats.advice import Known, Terms, advise
from tunesweep.store import Store

PAGE = Path(__file__).parent / "recommend.md"
KEPT = PAGE.parent / "results" / "recommend.json"
STORES, DRAWS = 500, 4000
EPSILON, PROBABILITY = 0.01, 0.9
SEEDS, SPREADS = (3, 5), (0.003, 0.01, 0.02)
BEHIND = 0.02  # how far true means lie behind the best that there could be, as a standard deviation
UNEQUAL = 0.7  # how far rows differ in their spread from seed to seed: of its logarithm
BINS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


class Given(NamedTuple):
    """What a store was told, and whether that is right."""

    probability: float
    decided: bool
    right: bool


def store(rng: np.random.Generator, seeds: int, spread: float) -> Given:
    """Draw five rows, with their costs, and return the advice."""
    easy = examples(rng)
    means = -np.abs(rng.normal(0, BEHIND, ROWS))
    spreads = spread * np.exp(rng.normal(0, UNEQUAL, ROWS))
    cells = [cell(rng, easy, seeds, *each) for each in zip(spreads, means, strict=True)]
    terms = Terms(tuple(rng.permutation(ROWS)), EPSILON, PROBABILITY)
    advice = advise(Known.of(cells, draws=DRAWS).means, terms)
    right = bool(means[advice.place] >= means.max() - EPSILON)
    return Given(round(float(advice.probability), 6), bool(advice.decided), right)


def given(seeds: int, spread: float, times: int = STORES) -> list[Given]:
    """Return the advice of many stores."""
    rng = np.random.default_rng(seeds)
    return [store(rng, seeds, spread) for _ in range(times)]


def calibration(advices: list[Given]) -> list[tuple[str, int, float, float]]:
    """Return for each bin of stated probability its number, the mean stated, and the share that is right."""
    lines = []
    for low, high in pairwise(BINS):
        last = high == BINS[-1]
        found = [(advice.probability, advice.right) for advice in advices]
        inside = [(p, right) for p, right in found if low <= p < high or (last and p == high)]
        if inside:
            stated, right = np.mean(inside, axis=0)
            lines.append((f"{low:g} to {high:g}", len(inside), float(stated), float(right)))
    return lines


def draw() -> None:
    """Draw all stores, and keep what they were told."""
    found = {
        f"{seeds} seeds, spread {spread:g}": given(seeds, spread) for seeds in SEEDS for spread in SPREADS
    }
    KEPT.write_text(json.dumps(found) + "\n", encoding="utf-8")


def tables() -> str:
    """Return the calibration by numbers of seeds, and how often there was a decision."""
    told = json.loads(KEPT.read_text(encoding="utf-8"))
    kept = {name: [Given(*each) for each in advices] for name, advices in told.items()}
    parts = []
    for seeds in SEEDS:
        found = {spread: kept[f"{seeds} seeds, spread {spread:g}"] for spread in SPREADS}
        lines = calibration([each for advices in found.values() for each in advices])
        rows = [[name, str(n), f"{stated:.3f}", f"{right:.3f}"] for name, n, stated, right in lines]
        head = [f"stated, {seeds} seeds", "stores", "mean stated", "right"]
        decided = [
            f"{np.mean([advice.decided for advice in advices]):.0%} at {100 * spread:g} points"
            for spread, advices in found.items()
        ]
        parts += [markdown_table(head, rows, text=1), f"Decided: {', '.join(decided)}."]
    return "\n\n".join(parts)


def example() -> str:
    """Return what a drawn store is told, and the curves of its tuned rate."""
    with TemporaryDirectory() as folder:
        drawn = fill(Store(Path(folder)))
        (block,) = build(drawn, Scope()).blocks
        (found,) = recommend(drawn, Scope(), Wish())
    header, lines = curve_table(block.trials)
    text = "\n".join([block.title, *(f"  {line}" for line in sentences(found))])
    return f"```text\n{text}\n```\n\n{markdown_table(header, lines, text=1)}"


def between(text: str, name: str, new: str) -> str:
    """Return a page with what lies between two marks written anew."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, after = text.partition(begin)[0], text.partition(end)[2]
    return f"{before}{begin}\n{new}\n{end}{after}"


def main() -> None:
    """Write the page, or say that it is not up to date."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--draw", action="store_true", help="draw the stores anew")
    parser.add_argument("--check", action="store_true", help="write nothing, fail if it is out of date")
    asked = parser.parse_args()
    if asked.draw:
        draw()
    text = PAGE.read_text(encoding="utf-8")
    new = between(between(text, "example", example()), "calibration", tables())
    if asked.check:
        sys.exit(f"{PAGE} is not what its records say: run docs/make_recommend.py" if new != text else 0)
    PAGE.write_text(new, encoding="utf-8")
    print(f"written: {PAGE}")


if __name__ == "__main__":
    main()
