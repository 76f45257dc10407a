"""Which rows of a block can be told apart, and in what sense: these runs, or their methods (R20)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np

from tunesweep.report.rows import Row
from tunesweep.report.scores import SCALES, Reader, Scale
from tunesweep.stats.cells import FEWEST, Cell, Estimate, best_probability, difference, estimate
from tunesweep.stats.multiple import holm, letters
from tunesweep.stats.needed import needed
from tunesweep.stats.pairs import mcnemar, sign_flips
from tunesweep.stats.proportion import wilson

LEVEL = 0.05
FEWEST_EXAMPLES = 2  # that rows can be compared by
MOST = 60  # rows that are compared each with each
METHODS, RUNS = "methods", "runs"
Pair = tuple[int, int]


@dataclass(frozen=True)
class Verdict:
    """Rows with what was found of them, and the sentences that say how."""

    rows: list[Row]
    notes: list[str] = field(default_factory=list)
    question: str | None = None  # methods, runs, or nothing was compared
    p_values: Mapping[Pair, float] = field(default_factory=dict)  # places of two rows -> corrected p-value


def judge(rows: list[Row], read: Reader) -> Verdict:
    """Compare the rows of a block, each with each."""
    scored = [place for place, row in enumerate(rows) if row["score"] is not None]
    if not scored or not (len(scored) > 1 or any(len(row.runs) > 1 for row in rows)):
        return Verdict(rows)
    if len(scored) > MOST:
        many = f"{len(scored):,} rows are too many to be compared each with each (at most {MOST})"
        return Verdict(rows, [f"{many}: narrow them with --where KEY=VALUE or --sweep ID."])
    scale = SCALES.get(str(rows[scored[0]]["metric"]))
    cells = cells_of(rows, read)
    if scale is None or not cells:
        return Verdict(rows)
    rows = [_with_spread(row, cells.get(place), scale) for place, row in enumerate(rows)]
    compared, methods = comparable(cells)
    notes = list(_left_out(scored, cells, compared))
    if len(compared) < 2:
        return Verdict(rows, notes)
    p_values = _corrected(_p_values(compared, methods))
    judged = _with_ties(rows, compared, p_values, scale)
    said = [_how(compared, p_values, methods), *_next(judged, compared, p_values, scale, methods)]
    return Verdict(judged, [*said, *notes], METHODS if methods else RUNS, p_values)


def cells_of(rows: list[Row], read: Reader) -> dict[int, Cell]:
    """Return the scores of each row [seeds, examples], by its place, of those that can be compared."""
    scored = [place for place, row in enumerate(rows) if row["score"] is not None]
    known = bool(scored) and str(rows[scored[0]]["metric"]) in SCALES
    return _same_examples(_cells(rows, scored, read)) if known else {}


def comparable(cells: Mapping[int, Cell]) -> tuple[dict[int, Cell], bool]:
    """Return which cells are compared, and whether as methods: those with enough seeds, if two have.

    None are where there is one scored example, which says nothing of others.
    """
    if any(cell.examples < FEWEST_EXAMPLES for cell in cells.values()):
        return {}, False
    enough = {place: cell for place, cell in cells.items() if cell.enough}
    methods = len(enough) > 1 and not all(cell.fixed for cell in enough.values())
    return (enough, True) if methods else (dict(cells), False)


def _cells(rows: list[Row], scored: Iterable[int], read: Reader) -> dict[int, Cell]:
    """Return the scores of each row [seeds, examples], of those whose runs all keep theirs."""
    found = {}
    for place in scored:
        row = rows[place]
        runs = [run for run in (row.runs or (row,)) if run["score"] is not None]
        scores = [read(run) for run in runs]
        known = [each for each in scores if each is not None]
        if len(known) == len(runs) and len({len(each) for each in known}) == 1:
            found[place] = Cell(np.stack(known), fixed=row.deterministic)
    return found


def _same_examples(cells: dict[int, Cell]) -> dict[int, Cell]:
    """Leave out cells with other numbers of examples than most have: a file was cut short."""
    sizes = [cell.examples for cell in cells.values()]
    usual = max(set(sizes), key=sizes.count) if sizes else 0
    return {place: cell for place, cell in cells.items() if cell.examples == usual}


def _with_spread(row: Row, cell: Cell | None, scale: Scale) -> Row:
    """Add what several seeds say: mean, spread, and an interval over seeds and examples."""
    if cell is None or cell.seeds < 2:
        return row
    each = [scale.shown(float(mean)) for mean in cell.scores.mean(axis=1)]
    found = {"score": scale.shown(cell.mean), "spread": float(np.std(each, ddof=1))}
    if cell.examples < FEWEST_EXAMPLES:
        return _with(row, found)
    low, high = (scale.shown(end) for end in _ends(cell))
    return _with(row, found | {"low": low, "high": high, "interval": (low, high)})


def _ends(cell: Cell) -> tuple[float, float]:
    """Return the interval of a cell's mean; Wilson's where all is right, or wrong, and nothing spreads."""
    if cell.mean in (0.0, 1.0) and cell.scores.min() == cell.scores.max():
        return wilson(round(cell.mean * cell.examples), cell.examples)
    return estimate(cell).interval()


def _with(row: Row, values: dict[str, Any]) -> Row:
    return replace(row, values=row.values | values)


def _p_values(cells: Mapping[int, Cell], methods: bool) -> dict[Pair, float]:
    pairs = list(combinations(cells, 2))
    if methods:
        return {(a, b): difference(cells[a], cells[b]).p for a, b in pairs}
    if _binary(cells):
        right = {place: cell.scores[0] > 0.5 for place, cell in cells.items()}
        return {(a, b): mcnemar(right[a], right[b]).p for a, b in pairs}
    gaps = np.stack([cells[a].by_example - cells[b].by_example for a, b in pairs])
    return dict(zip(pairs, sign_flips(gaps), strict=True))


def _binary(cells: Mapping[int, Cell]) -> bool:
    """Whether every row is one run whose examples are right or wrong."""
    return all(cell.seeds == 1 and np.isin(cell.scores, (0, 1)).all() for cell in cells.values())


def _corrected(p_values: Mapping[Pair, float]) -> dict[Pair, float]:
    return dict(zip(p_values, holm(list(p_values.values())), strict=True))


def _with_ties(
    rows: list[Row], cells: Mapping[int, Cell], p_values: Mapping[Pair, float], scale: Scale
) -> list[Row]:
    """Add letters of tie groups, best first, and each row's probability of being the best."""
    ranked = sorted(cells, key=lambda place: -cells[place].mean if scale.higher else cells[place].mean)
    rank = {place: index for index, place in enumerate(ranked)}
    apart = {tuple(sorted((rank[a], rank[b]))) for (a, b), p in p_values.items() if p < LEVEL}
    groups = letters(len(ranked), {(a, b) for a, b in apart})
    chances = best_probability([cells[place] for place in ranked], scale.higher)
    found = dict(zip(ranked, zip(groups, chances, strict=True), strict=True))
    return [
        _with(row, {"tied": found[place][0], "best": found[place][1]}) if place in found else row
        for place, row in enumerate(rows)
    ]


def _how(cells: Mapping[int, Cell], p_values: Mapping[Pair, float], methods: bool) -> str:
    """Say which question the letters answer, and by which test."""
    letters_ = "Rows that share a letter under 'tied' cannot be told apart"
    correction = f"Holm over {len(p_values)} pairs, {LEVEL:.0%}" if len(p_values) > 1 else f"{LEVEL:.0%}"
    if methods:
        test = f"as methods, seeds and examples drawn at random (crossed effects, t-test, {correction})"
        return f"{letters_} {test}."
    test = "exact McNemar" if _binary(cells) else "paired permutation of examples"
    few = f"a statement on methods takes {FEWEST} seeds a row"
    return f"{letters_} as these runs, on these examples ({test}, {correction}); {few}."


def _left_out(scored: list[int], cells: Mapping[int, Cell], compared: Mapping[int, Cell]) -> Iterator[str]:
    if absent := len(scored) - len(cells):
        yield f"{absent} of {len(scored)} rows have no readable predictions and are not compared."
    if len(cells) > 1 and not compared:
        yield "Rows are not compared: there is one scored example, which says nothing of others."
    elif few := len(cells) - len(compared):
        yield f"{few} of {len(scored)} rows have fewer than {FEWEST} seeds and are not compared."


def _next(
    rows: list[Row],
    cells: Mapping[int, Cell],
    p_values: Mapping[Pair, float],
    scale: Scale,
    methods: bool,
) -> Iterator[str]:
    """Say how far the best row is ahead of the next that is tied with it, and what would tell them apart."""
    ranked = sorted(cells, key=lambda place: -cells[place].mean if scale.higher else cells[place].mean)
    first, *others = ranked
    tied = [b for b in others if p_values.get((first, b), p_values.get((b, first), 1.0)) >= LEVEL]
    if not methods or not tied:
        return
    second = tied[0]
    gap = difference(cells[first], cells[second])
    names = (
        f"{rows[first]['label'] or rows[first]['name']} and {rows[second]['label'] or rows[second]['name']}"
    )
    found = needed(cells[first], cells[second])
    each = "" if cells[first].fixed or cells[second].fixed else " each"
    options = [
        *([f"about {found.seeds} seeds{each}"] if found.seeds else []),
        *([f"about {found.examples:,} examples"] if found.examples else []),
    ]
    remedy = " or ".join(options) or "more seeds and examples than can be counted on"
    yield f"{names} are tied at the top, {_gap(gap, scale)} apart: to tell them apart takes {remedy}."


def _gap(gap: Estimate, scale: Scale) -> str:
    """Return a difference with its interval; of losses as a ratio of perplexities."""
    low, high = gap.interval()
    if scale.higher:
        return f"{abs(gap.value):.3f} (95 % {min(low, high):+.3f} to {max(low, high):+.3f})"
    return f"a factor of {np.exp(abs(gap.value)):.3f} (95 % {np.exp(low):.3f} to {np.exp(high):.3f})"
