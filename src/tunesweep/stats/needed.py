"""How many seeds, or examples, would tell two cells apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, sqrt

from scipy.special import nctdtr, stdtrit

from tunesweep.stats.cells import Cell

POWER, LEVEL = 0.8, 0.05
MOST_SEEDS, MOST_EXAMPLES = 100, 1_000_000


@dataclass(frozen=True)
class Needed:
    """What each cell needs in all, if the difference is what it seems; None: no number in reach would do.

    Of a fixed cell more seeds than its one cannot be had: seeds are those of the other.
    """

    seeds: int | None  # on the examples that there are
    examples: int | None  # with the seeds that there are


def needed(first: Cell, second: Cell, power: float = POWER, level: float = LEVEL) -> Needed:
    """Return what a two-sided test at `level` takes to find the measured difference with a given power.

    From the variances of the crossed model (`cells`), and the noncentral t distribution with the degrees of
    freedom of the seeds that are drawn; of two fixed cells, of the examples.
    """
    gap = abs(first.mean - second.mean)
    if not gap or first.examples < 2:
        return Needed(None, None)
    variance = _variance(first, second)
    drawn = [cell.seeds for cell in (first, second) if not cell.fixed]

    def enough(seeds: int, examples: int) -> bool:
        freedom = len(drawn) * (seeds - 1) or examples - 1
        return _power(gap, variance(seeds, examples), freedom, level) >= power

    seeds = (count for count in range(2, MOST_SEEDS + 1) if drawn and enough(count, first.examples))
    return Needed(next(seeds, None), _examples(enough, max(min(drawn, default=2), 2), first.examples))


def _examples(enough: Callable[[int, int], bool], seeds: int, now: int) -> int | None:
    """Return the least number of examples, to within a twentieth."""
    count = float(now)
    while count <= MOST_EXAMPLES:
        if enough(seeds, ceil(count)):
            return ceil(count)
        count *= 1.05
    return None


def _variance(first: Cell, second: Cell) -> Callable[[int, int], float]:
    """Return the variance of a difference as a function of the numbers of seeds and examples."""
    cells, n = (first, second), first.examples
    seeds = sum(max(cell.from_seeds - cell.from_rest, 0.0) * cell.seeds for cell in cells)
    rest = sum(cell.from_rest * cell.seeds * n for cell in cells)
    gaps = first.by_example - second.by_example
    examples = max(float(gaps.var(ddof=1)) - sum(cell.from_rest * n for cell in cells), 0.0)
    return lambda k, count: seeds / k + examples / count + rest / (k * count)


def _power(gap: float, variance: float, freedom: int, level: float) -> float:
    """Return the probability that a t-test finds a gap."""
    if not variance:
        return 1.0
    critical, shift = float(stdtrit(freedom, 1 - level / 2)), gap / sqrt(variance)
    return float(1 - nctdtr(freedom, shift, critical) + nctdtr(freedom, shift, -critical))
