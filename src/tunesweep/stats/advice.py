"""Which row is enough: the cheapest that is, with a stated probability, within epsilon of the best.

Arrays in, advice out. True means are drawn from what is known of them (`cells.drawn_means`): the probability
of a row is the share of draws in which it lies within epsilon of the best of the same draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np

from tunesweep.stats.cells import DRAWS, Cell, drawn_means

Array = np.ndarray
OUTCOMES, FEWER = 200, 4000  # outcomes of a further run, and draws that each is judged by
MORE_SEEDS = (1, 2, 3, 5, 8, 12, 20, 30, 50, 100)
MORE_EXAMPLES = (1.5, 2, 3, 5, 10, 20, 50)


@dataclass(frozen=True)
class Known:
    """What is known of the true means of some rows, the higher the better, as draws [rows, draws].

    `shared`: each mean with what examples do to it; `alone`: what seeds do to it, which further seeds reduce.
    """

    shared: Array
    alone: Array
    cells: tuple[Cell, ...]
    sign: int = 1  # -1 where lower is better, and all draws are negatives

    @classmethod
    def of(cls, cells: Sequence[Cell], higher: bool = True, draws: int = DRAWS) -> Known:
        """Draw the means; where lower is better, their negatives."""
        shared, alone = drawn_means(cells, draws)
        sign = 1 if higher else -1
        return cls(sign * shared, sign * alone, tuple(cells), sign)

    @property
    def means(self) -> Array:
        """True means [rows, draws]."""
        return np.asarray(self.shared + self.alone)

    def first(self, draws: int) -> Known:
        """Return it with fewer draws."""
        return replace(self, shared=self.shared[:, :draws], alone=self.alone[:, :draws])

    def with_seeds(self, more: int) -> Known:
        """Return what would be known after so many more seeds a row, if means and spreads stay."""
        rng, alone = np.random.default_rng(1), np.zeros_like(self.alone)
        for place, cell in enumerate(self.cells):
            if cell.alone:
                count = cell.seeds + more
                error = cell.alone * sqrt(cell.seeds / count)
                alone[place] = error * rng.standard_t(count - 1, alone.shape[1])
        return replace(self, alone=alone)

    def with_examples(self, times: float) -> Known:
        """Return what would be known of so many times the examples, if means stay as they are."""
        means = self.shared.mean(axis=1, keepdims=True)
        return replace(self, shared=means + (self.shared - means) / sqrt(times))


@dataclass(frozen=True)
class Terms:
    """What is asked for: the places of rows from cheapest to dearest, and how sure of what."""

    order: tuple[int, ...]
    epsilon: float
    probability: float


@dataclass(frozen=True)
class Advice:
    """The row to take; where none reaches the probability, the one that comes nearest, and not `decided`."""

    place: int
    decided: bool
    chances: tuple[float, ...]  # of each row, to lie within epsilon of the best

    @property
    def taken(self) -> int | None:
        """The row to take; None where the data cannot decide."""
        return self.place if self.decided else None

    @property
    def probability(self) -> float:
        """Probability of the row to take."""
        return self.chances[self.place]


def within(means: Array, epsilon: float) -> list[float]:
    """Return for each row [rows, draws] the share of draws in which it is within epsilon of the best."""
    return [float(share) for share in (means >= means.max(axis=0) - epsilon).mean(axis=1)]


def advise(means: Array, terms: Terms) -> Advice:
    """Return the cheapest row that reaches the probability; if none does, the most probable one."""
    chances = within(means, terms.epsilon)
    reached = [place for place in terms.order if chances[place] >= terms.probability]
    place = reached[0] if reached else max(terms.order, key=lambda row: chances[row])
    return Advice(place, bool(reached), tuple(chances))


def worth_of_seeds(known: Known, terms: Terms) -> list[float]:
    """Return for each row the probability that one more seed of it changes the advice.

    An outcome is drawn from what is known: the row's true mean, and a seed about it. It moves the row's mean
    by a (k+1)-th of its surprise and narrows its variance to k/(k+1), as k seeds become k+1; the spread from
    seed to seed is taken to stay. Then the advice is asked again: it changes where another row is taken, or
    one where none was, or the other way round.
    A row whose seeds cannot matter, since they do not differ or are none, gets nought.
    """
    few = known.first(FEWER)
    before = advise(few.means, terms)
    return [_worth(few, place, before, terms) for place in range(len(few.cells))]


def _worth(known: Known, place: int, before: Advice, terms: Terms) -> float:
    cell = known.cells[place]
    if not cell.alone:
        return 0.0
    rng = np.random.default_rng(2)
    truths = known.alone[place][:OUTCOMES]
    seeds = truths + cell.alone * sqrt(cell.seeds) * rng.normal(size=len(truths))
    narrow = known.shared[place] + known.alone[place] * sqrt(cell.seeds / (cell.seeds + 1))
    means, changed = known.means, 0
    for shift in seeds / (cell.seeds + 1):
        means[place] = narrow + shift
        after = advise(means, terms)
        changed += after.taken != before.taken
    return changed / len(truths)


def worth_of_row(means: Array, guesses: Array, advice: Advice, cheaper: bool, epsilon: float) -> float:
    """Return the probability that knowing another row's mean, now `guesses` [draws], changes the advice.

    It does where the other row is within epsilon of the best and cheaper, or so good that the advised row
    is no longer within epsilon.
    """
    best, advised = means.max(axis=0), means[advice.place]
    taken = (guesses >= best - epsilon) & cheaper
    return float((taken | (advised < guesses - epsilon)).mean())


def guess(values: Sequence[float], draws: int = DRAWS) -> Array:
    """Draw the unknown mean of another row like those known: a prediction by Student's t.

    `values`: two known means or more.
    """
    count = len(values)
    spread = float(np.std(values, ddof=1)) * sqrt(1 + 1 / count)
    return float(np.mean(values)) + spread * np.random.default_rng(3).standard_t(count - 1, draws)


def seeds_to_decide(known: Known, terms: Terms) -> int | None:
    """Return about how many more seeds a row would let some row reach the probability, as things look."""
    found = (more for more in MORE_SEEDS if advise(known.with_seeds(more).means, terms).decided)
    return next(found, None) if known.alone.any() else None


def examples_to_decide(known: Known, terms: Terms) -> int | None:
    """Return about how many examples in all would do so."""
    found = (times for times in MORE_EXAMPLES if advise(known.with_examples(times).means, terms).decided)
    times = next(found, None)
    return None if times is None else round(times * known.cells[0].examples)
