"""Do the methods differ: seeds and scored examples are both draws, and a cell is a method with its seeds.

The model is that of two crossed random factors, score[s, e] = mean + seed[s] + example[e] + rest[s, e]; its
variances are found from mean squares (S. R. Searle and others, Variance Components, 1992, section 4.4),
degrees of freedom by F. E. Satterthwaite, Biometrics Bulletin 2 (1946).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import exp, lgamma, sqrt

import numpy as np
from scipy.special import stdtr, stdtrit

Array = np.ndarray
FEWEST = 3  # seeds that a statement on methods takes
DRAWS = 20_000
ALIKE = 1e-7  # means drawn for cells with the same answers differ by rounding


@dataclass(frozen=True)
class Cell:
    """One configuration: `scores` [seeds, examples], whose mean is what the table shows.

    `fixed`: nothing in it is drawn, as in zero-shot prompting; its one run is all there is.
    """

    scores: Array
    fixed: bool = False

    @property
    def seeds(self) -> int:
        """Number of runs."""
        return int(self.scores.shape[0])

    @property
    def examples(self) -> int:
        """Number of scored examples."""
        return int(self.scores.shape[1])

    @property
    def enough(self) -> bool:
        """Whether it says something on its method."""
        return self.fixed or self.seeds >= FEWEST

    @cached_property
    def mean(self) -> float:
        """Mean over seeds and examples."""
        return float(self.scores.mean())

    @cached_property
    def by_example(self) -> Array:
        """Mean over seeds [examples]."""
        return np.asarray(self.scores.mean(axis=0))

    @cached_property
    def spread(self) -> float | None:
        """Standard deviation of the score from seed to seed; of one seed, None."""
        return float(self.scores.mean(axis=1).std(ddof=1)) if self.seeds > 1 else None

    @cached_property
    def rest(self) -> float:
        """Mean square of what neither seed nor example explains; of one seed, nought."""
        if self.seeds < 2 or self.examples < 2:
            return 0.0
        seeds = self.scores.mean(axis=1, keepdims=True)
        left = self.scores - seeds - self.by_example + self.mean
        return float((left**2).sum() / ((self.seeds - 1) * (self.examples - 1)))

    @property
    def from_seeds(self) -> float:
        """Variance of the mean by its seeds, the rest among them."""
        return 0.0 if self.fixed or self.spread is None else self.spread**2 / self.seeds

    @property
    def from_rest(self) -> float:
        """Variance of the mean by the rest."""
        return 0.0 if self.fixed else self.rest / (self.seeds * self.examples)

    @property
    def alone(self) -> float:
        """Standard error of the mean by its seeds, the rest not among them."""
        return sqrt(max(self.from_seeds - self.from_rest, 0.0))


@dataclass(frozen=True)
class Estimate:
    """A number, its standard error, and the degrees of freedom of that."""

    value: float
    error: float
    freedom: float

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the t-interval."""
        half = float(stdtrit(self.freedom, (1 + level) / 2)) * self.error
        return self.value - half, self.value + half

    @property
    def p(self) -> float:
        """Two-sided p-value against nought."""
        if self.error == 0:
            return 1.0 if self.value == 0 else 0.0
        return float(2 * stdtr(self.freedom, -abs(self.value) / self.error))


def estimate(cell: Cell) -> Estimate:
    """Return the mean of a cell; of one seed, the examples alone make its error."""
    return _estimate(cell.mean, [cell], cell.by_example)


def difference(first: Cell, second: Cell) -> Estimate:
    """Return by how much the first cell's mean exceeds the second's, on the same examples.

    Seeds need not be the same, nor as many; what equal seeds have in common is not used.
    """
    if first.examples != second.examples:
        raise ValueError(f"cells of {first.examples} and {second.examples} examples are not paired")
    return _estimate(first.mean - second.mean, [first, second], first.by_example - second.by_example)


def _estimate(value: float, cells: Sequence[Cell], by_example: Array) -> Estimate:
    """Add what seeds and examples do to a mean; the rest, which both hold, is taken off once."""
    n = len(by_example)
    examples = float(by_example.var(ddof=1)) / n if n > 1 else 0.0
    seeds = sum(cell.from_seeds for cell in cells)
    rest = sum(cell.from_rest for cell in cells)
    variance = max(seeds + examples - rest, seeds, examples)
    parts = [(examples, n - 1)]
    for cell in cells:
        parts.append((cell.from_seeds, cell.seeds - 1))
        parts.append((cell.from_rest, (cell.seeds - 1) * (n - 1)))
    below = sum(part**2 / freedom for part, freedom in parts if part and freedom)
    return Estimate(value, sqrt(variance), variance**2 / below if below else max(1, n - 1))


def effect_size(first: Cell, second: Cell) -> float | None:
    """Return the difference in units of the spread from seed to seed: Hedges' g (JES 6, 1981).

    None where a cell has no spread to measure in.
    """
    freedom = first.seeds + second.seeds - 2
    if first.spread is None or second.spread is None:
        return None
    squares = (first.seeds - 1) * first.spread**2 + (second.seeds - 1) * second.spread**2
    if squares == 0:
        return None
    unbiased = exp(lgamma(freedom / 2) - lgamma((freedom - 1) / 2)) / sqrt(freedom / 2)
    return (first.mean - second.mean) / sqrt(squares / freedom) * unbiased


def drawn_means(cells: Sequence[Cell], draws: int = DRAWS) -> tuple[Array, Array]:
    """Draw true means, always alike, from what is known of them with flat priors: two parts that add up.

    First each mean with what examples do to it, normal and the same examples for all [cells, draws]; then
    what seeds do to it, Student's t in the seeds of each [cells, draws].
    """
    if cells[0].examples < 2:
        raise ValueError("one scored example says nothing of others: means are drawn from two or more")
    rng = np.random.default_rng(0)
    by_example = np.stack([cell.by_example for cell in cells])
    covariance = np.atleast_2d(np.cov(by_example)) / by_example.shape[1]
    means = [cell.mean for cell in cells]
    shared = rng.multivariate_normal(means, covariance, draws, method="eigh").T
    seeds = np.zeros_like(shared)
    for place, cell in enumerate(cells):
        if cell.alone:
            seeds[place] = cell.alone * rng.standard_t(cell.seeds - 1, draws)
    return shared, seeds


def best_probability(cells: Sequence[Cell], higher: bool = True, draws: int = DRAWS) -> list[float]:
    """Return for each cell the probability that its true mean is the best of them (`drawn_means`).

    Cells that answer alike share it in equal parts.
    """
    shared, alone = drawn_means(cells, draws)
    drawn = shared + alone if higher else -shared - alone
    best = drawn >= drawn.max(axis=0) - ALIKE
    return [float(share) for share in (best / best.sum(axis=0)).mean(axis=1)]
