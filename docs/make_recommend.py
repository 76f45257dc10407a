"""Write the table of docs/recommend.md: how often advice is right that is given with some probability.

    python docs/make_recommend.py

Stores are drawn, not trained, as in docs/make_statistics.py: five rows whose true means and costs are drawn too.
Each is asked for advice, as `tunesweep recommend` asks, and the true means say whether it is right.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from make_statistics import ROWS, cell, examples

from tunesweep.report.render import markdown_table
from tunesweep.stats.advice import Advice, Known, Terms, advise

PAGE = Path(__file__).parent / "recommend.md"
STORES, DRAWS = 500, 4000
EPSILON, PROBABILITY = 0.01, 0.9
SEEDS, SPREADS = (3, 5), (0.003, 0.01, 0.02)
BEHIND = 0.02  # how far true means lie behind the best that there could be, as a standard deviation
UNEQUAL = 0.7  # how far rows differ in their spread from seed to seed: of its logarithm
BINS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)

Given = tuple[Advice, bool]  # the advice, and whether it is right


def store(rng: np.random.Generator, seeds: int, spread: float) -> Given:
    """Draw five rows, with their costs, and return the advice."""
    easy = examples(rng)
    means = -np.abs(rng.normal(0, BEHIND, ROWS))
    spreads = spread * np.exp(rng.normal(0, UNEQUAL, ROWS))
    cells = [cell(rng, easy, seeds, *each) for each in zip(spreads, means, strict=True)]
    terms = Terms(tuple(rng.permutation(ROWS)), EPSILON, PROBABILITY)
    advice = advise(Known.of(cells, draws=DRAWS).means, terms)
    return advice, bool(means[advice.place] >= means.max() - EPSILON)


def given(seeds: int, spread: float, times: int = STORES) -> list[Given]:
    """Return the advice of many stores."""
    rng = np.random.default_rng(seeds)
    return [store(rng, seeds, spread) for _ in range(times)]


def calibration(advices: list[Given]) -> list[tuple[str, int, float, float]]:
    """Return for each bin of stated probability: how many there are, the mean stated, the share that is right."""
    lines = []
    for low, high in zip(BINS, BINS[1:], strict=False):
        last = high == BINS[-1]
        inside = [each for each in advices if low <= each[0].probability < high or (last and each[0].probability == 1)]
        if inside:
            stated = float(np.mean([advice.probability for advice, _ in inside]))
            lines.append((f"{low:g} to {high:g}", len(inside), stated, float(np.mean([right for _, right in inside]))))
    return lines


def tables() -> str:
    """Return the calibration by numbers of seeds, and how often there was a decision."""
    parts = []
    for seeds in SEEDS:
        found = {spread: given(seeds, spread) for spread in SPREADS}
        lines = calibration([each for advices in found.values() for each in advices])
        rows = [[name, str(n), f"{stated:.3f}", f"{right:.3f}"] for name, n, stated, right in lines]
        head = [f"stated, {seeds} seeds", "stores", "mean stated", "right"]
        decided = [
            f"{np.mean([advice.decided for advice, _ in advices]):.0%} at {100 * spread:g} points"
            for spread, advices in found.items()
        ]
        parts += [markdown_table(head, rows, text=1), f"Decided: {', '.join(decided)}."]
    return "\n\n".join(parts)


if __name__ == "__main__":
    marks = "<!-- calibration: begin -->", "<!-- calibration: end -->"
    page = PAGE.read_text(encoding="utf-8")
    pattern = f"({re.escape(marks[0])}).*({re.escape(marks[1])})"
    new = tables()
    PAGE.write_text(
        re.sub(pattern, lambda found: f"{found[1]}\n{new}\n{found[2]}", page, flags=re.DOTALL), encoding="utf-8"
    )
    print(f"written: {PAGE}")
