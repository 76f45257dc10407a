"""`tunesweep recommend`: the cheapest row of a block that is good enough, and how sure that is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf, log1p, sqrt

import numpy as np

from tunesweep.errors import BadConfig, require
from tunesweep.report.render import build
from tunesweep.report.rows import Row, Scope
from tunesweep.report.scores import SCALES, Reader, Scale, reader
from tunesweep.report.table import Block
from tunesweep.report.verdict import MOST, cells_of, comparable
from tunesweep.stats import advice
from tunesweep.stats.advice import Advice, Known, Terms
from tunesweep.stats.cells import FEWEST, Cell
from tunesweep.store import Store

# What may be limited and compared -> the column that holds it, and the one that predicts it.
MEASURES = {
    "minutes": ("minutes", "predicted_minutes"),
    "memory": ("memory_bytes", "predicted_memory_bytes"),
    "peak_memory": ("peak_memory_bytes", "predicted_peak_memory_bytes"),
    "disk": ("disk_bytes", ""),
    "trainable": ("trainable", ""),
}

HARDLY = 0.01  # a probability below which a further run is not worth a word
MAY = 0.05  # and one from which on a row may be the one to take


@dataclass(frozen=True)
class Wish:
    """What is asked for: budgets, by what rows are cheap, and how near to the best with which probability."""

    limits: Mapping[str, float] = field(default_factory=dict)  # measure -> the most of it
    cheapest: str = "minutes"
    epsilon: float = 0.01
    probability: float = 0.9

    def __post_init__(self) -> None:
        require(self.cheapest, MEASURES, "--cheapest")
        if not 0 < self.probability < 1:
            raise BadConfig(f"--probability {self.probability:g} must lie between 0 and 1, as 0.9 does")
        if not 0 <= self.epsilon < inf:
            raise BadConfig(f"--epsilon {self.epsilon:g} must be nought or more, as 0.01 is")
        for name, most in self.limits.items():
            if not most > 0:
                raise BadConfig(f"--{name.replace('_', '-')} {most:g} must be above zero")

    def cost(self, row: Row) -> tuple[float, ...]:
        """Return a key that sorts rows from cheap to dear; what is not known counts as dearest."""
        names = [self.cheapest, *(name for name in MEASURES if name != self.cheapest)]
        return tuple(inf if (value := row[MEASURES[name][0]]) is None else float(value) for name in names)

    def excess(self, row: Row) -> str | None:
        """Return the first measure of which a row takes more than is given, or of which nothing is known."""
        for name, most in self.limits.items():
            value = row[MEASURES[name][0]]
            if value is None or value > most:
                return name
        return None


@dataclass(frozen=True)
class Addition:
    """A run that is worth adding: a further seed of a row, or a row that is not compared yet."""

    place: int
    seed: bool
    chance: float  # that it changes the advice


@dataclass(frozen=True)
class Recommendation:
    """What is advised for a block, by places of its rows; without `advice`, `fitting` says why."""

    block: Block
    wish: Wish
    names: list[str]
    methods: bool  # whether it is of methods, or of these runs
    compared: list[int]
    fitting: list[int]  # of those compared, which are within the budgets
    advice: Advice | None = None  # its places are those of `fitting`
    addition: Addition | None = None
    seeds: int | None = None  # more a row, that would decide it
    examples: int | None = None  # in all, that would

    @property
    def place(self) -> int | None:
        """The place of the row to take, or of that which comes nearest."""
        return None if self.advice is None else self.fitting[self.advice.place]

    @property
    def best(self) -> int:
        """The place of the best score of those that fit."""
        higher = _scale(self.block.rows[self.fitting[0]]).higher
        sign = 1 if higher else -1
        return max(self.fitting, key=lambda place: sign * self.block.rows[place]["score"])

    @property
    def minutes(self) -> float:
        """What it cost to know: minutes of all runs of the block."""
        return float(sum(spent(run) or 0 for run in self.block.runs))


def spent(run: Row) -> float | None:
    """Return the minutes that a run has taken; of one in a group its part of the group's."""
    if run["minutes"] is not None:
        return float(run["minutes"])
    return run["group_minutes"] / run["group_runs"] if run["group_minutes"] and run["group_runs"] else None


def recommend(store: Store, scope: Scope, wish: Wish) -> list[Recommendation]:
    """Return the advice for each block of a scope in which something was scored."""
    blocks = [block for block in build(store, scope).blocks if any(row.measured for row in block.rows)]
    if not blocks:
        raise BadConfig(
            "nothing was scored here so far: let a sweep come to its first result, or name another one with "
            "--sweep ID or --all"
        )
    return [of_block(block, wish, reader(store)) for block in blocks]


def of_block(block: Block, wish: Wish, read: Reader) -> Recommendation:
    """Return the advice for one block."""
    scored = sum(row["score"] is not None for row in block.rows)
    if scored > MOST:
        many = f"{scored:,} rows are too many to be compared (at most {MOST})"
        raise BadConfig(f"{many}: narrow them with --where KEY=VALUE or --sweep ID")
    cells = cells_of(block.rows, read)
    compared, methods = comparable(cells)
    if not methods:  # of these runs as they are: their seeds are no draws
        compared = {place: replace(cell, fixed=True) for place, cell in compared.items()}
    fitting = [place for place in compared if wish.excess(block.rows[place]) is None]
    found = Recommendation(block, wish, names(block.rows), methods, list(compared), fitting)
    return _advised(found, cells, [compared[place] for place in fitting]) if fitting else found


def _advised(found: Recommendation, cells: Mapping[int, Cell], fitting: Sequence[Cell]) -> Recommendation:
    rows = [found.block.rows[place] for place in found.fitting]
    scale = _scale(rows[0])
    order = sorted(range(len(rows)), key=lambda place: found.wish.cost(rows[place]))
    # Of perplexities epsilon is a share, and of their losses its logarithm.
    epsilon = found.wish.epsilon if scale.higher else log1p(found.wish.epsilon)
    terms = Terms(tuple(order), epsilon, found.wish.probability)
    known = Known.of(fitting, scale.higher)
    given = advice.advise(known.means, terms)
    additions = [*_seeds(found, known, terms), *_rows(found, cells, known, given, epsilon)]
    best = max(additions, key=lambda each: each.chance, default=None)
    if not given.decided and best is not None and best.chance < HARDLY:
        best = _widest(found, known, given)
    return replace(
        found,
        advice=given,
        addition=best,
        seeds=None if given.decided else advice.seeds_to_decide(known, terms),
        examples=None if given.decided else advice.examples_to_decide(known, terms),
    )


def _seeds(found: Recommendation, known: Known, terms: Terms) -> Iterator[Addition]:
    if len(found.fitting) > 1:
        for place, chance in zip(found.fitting, advice.worth_of_seeds(known, terms), strict=True):
            yield Addition(place, seed=True, chance=chance)


def _widest(found: Recommendation, known: Known, given: Advice) -> Addition | None:
    """Where no single run decides: a seed of the row, of those that may be it, of which least is known."""
    may = [place for place, chance in enumerate(given.chances) if chance >= MAY and known.cells[place].alone]
    widest = max(may, key=lambda place: known.cells[place].alone, default=None)
    return None if widest is None else Addition(found.fitting[widest], seed=True, chance=0.0)


def _rows(
    found: Recommendation, cells: Mapping[int, Cell], known: Known, given: Advice, epsilon: float
) -> Iterator[Addition]:
    """Judge the rows that are not compared yet: those without a result, and those with too few seeds."""
    advised = found.block.rows[found.fitting[given.place]]
    for place, row in enumerate(found.block.rows):
        guesses = None if place in found.compared else _guesses(place, cells, known)
        cost = _expected(row, found.wish.cheapest)
        over = any((_expected(row, name) or 0) > most for name, most in found.wish.limits.items())
        if guesses is not None and not over:
            cheaper = cost is not None and cost < found.wish.cost(advised)[0]
            chance = advice.worth_of_row(known.means, guesses, given, cheaper, epsilon)
            yield Addition(place, seed=False, chance=chance)


def _guesses(place: int, cells: Mapping[int, Cell], known: Known) -> np.ndarray | None:
    """Draw the mean of a row: about its own where it has seeds, as far as others spread; else like others."""
    means = known.shared.mean(axis=1)
    spreads = [cell.spread for cell in known.cells if cell.spread is not None]
    if place in cells and spreads:
        error = float(np.mean(spreads)) / sqrt(cells[place].seeds)
        rng = np.random.default_rng(4)
        return np.asarray(rng.normal(known.sign * cells[place].mean, error, known.shared.shape[1]))
    return advice.guess([float(mean) for mean in means]) if len(means) > 1 else None


def _expected(row: Row, measure: str) -> float | None:
    """Return what a row takes, or what was predicted of it."""
    column, predicted = MEASURES[measure]
    value = row[column] if row[column] is not None else row[predicted]
    return None if value is None else float(value)


def _scale(row: Row) -> Scale:
    return SCALES[str(row["metric"])]


def names(rows: Sequence[Row]) -> list[str]:
    """Return what rows are called: by a label that is theirs alone, else as typed, else with their run."""
    labels = Counter(row["label"] for row in rows)
    plain = [
        str(row["label"] if row["label"] and labels[row["label"]] == 1 else row["name"] or row["run_id"])
        for row in rows
    ]
    times = Counter(plain)
    return [
        name if times[name] == 1 else f"{name} ({row['run_id'] or row.runs[0]['run_id']})"
        for name, row in zip(plain, rows, strict=True)
    ]


def few_seeds(found: Recommendation) -> bool:
    """Whether the advice is of these runs for want of seeds."""
    rows = [found.block.rows[place] for place in found.fitting]
    return not found.methods and any(map(lacks_seeds, rows))


def lacks_seeds(row: Row) -> bool:
    """Whether a row has fewer seeds than a statement on its method takes."""
    return not row.deterministic and (row["seeds"] or 1) < FEWEST
