"""What can be concluded at each value of a setting, and of going from one value to the next. Pure.

At each value rows are compared as in a table of their own; a step from a value to the next compares a row
with itself. Each question has its own correction for the number of its comparisons.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tunesweep.report.columns import score_text
from tunesweep.report.fields import number
from tunesweep.report.rows import Row
from tunesweep.report.scores import SCALES, Reader
from tunesweep.report.seeds import SEEDS, name_without
from tunesweep.report.series import plain, without_common
from tunesweep.report.verdict import LEVEL, METHODS, Verdict, judge
from tunesweep.stats.multiple import holm


@dataclass(frozen=True)
class Line:
    """Rows that differ in the setting alone, and in what goes with it; in the order of its values."""

    name: str
    rows: tuple[Row, ...]


def conclusions(rows: Sequence[Row], key: str | None, apart: Collection[str], read: Reader) -> Iterator[str]:
    """Say which rows lead at each value of `key`, and between which values each of them changes.

    `apart` are settings, or groups of them, that change with it, or were tuned: rows that differ in these as
    well are one line.
    """
    if key is None:
        return
    scored = [row for row in rows if str(row["metric"]) in SCALES and row["score"] is not None]
    lines = _lines([row for row in scored if number(row[key]) is not None], key, apart)
    values = sorted({row[key] for line in lines for row in line.rows})
    if len(values) > 1:
        yield from filter(None, (_at(value, lines, key, read) for value in values))
        yield from _along(lines, key, read)


def _lines(rows: Sequence[Row], key: str, apart: Collection[str]) -> list[Line]:
    """Return the lines; two rows of one name and value are of no line, as nothing says which follows."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(name_without(row, {*SEEDS, key, *_named(row, apart)}), []).append(row)
    names = without_common(list(groups))
    return [
        Line(name, tuple(sorted(members, key=lambda row: row[key])))
        for name, members in zip(names, groups.values(), strict=True)
        if len({row[key] for row in members}) == len(members)
    ]


def _named(row: Row, apart: Collection[str]) -> Iterator[str]:
    """Yield which options in a row's name are among some settings and groups."""
    options = (word.partition("=")[0] for word in str(row["name"]).split(" "))
    return (key for key in options if any(f"{key}.".startswith(f"{name}.") for name in apart))


def _at(value: float, lines: Sequence[Line], key: str, read: Reader) -> str | None:
    """Return which lines lead at a value, and which are behind; None where nothing was compared."""
    found = {line.name: row for line in lines for row in line.rows if row[key] == value}
    verdict = judge(list(found.values()), read)
    if verdict.question is None:
        return None
    first, tied, behind = _ranked(verdict)
    names = list(found)

    def said(places: Sequence[int]) -> str:
        return ", ".join(f"{names[place]} {score_text(verdict.rows[place]['score'])}" for place in places)

    parts = (("best", [first]), ("not told from it", tied), ("behind", behind))
    what = "methods" if verdict.question == METHODS else "these runs"
    told = "; ".join(f"{title}: {said(places)}" for title, places in parts if places)
    return f"{key} {plain(value)}, as {what}: {told}."


def _ranked(verdict: Verdict) -> tuple[int, list[int], list[int]]:
    """Return the places of the best row, of those tied with it, and of those behind it, best first."""
    compared = {place for pair in verdict.p_values for place in pair}
    first, *others = sorted(compared, key=lambda place: _quality(verdict.rows[place]), reverse=True)
    p_values = {frozenset(pair): p for pair, p in verdict.p_values.items()}
    behind = [place for place in others if p_values[frozenset((first, place))] < LEVEL]
    return first, [place for place in others if place not in behind], behind


def _quality(row: Row) -> float:
    """Return the score, of a perplexity negative: greater is better."""
    return float(row["score"] if SCALES[str(row["metric"])].higher else -row["score"])


def _along(lines: Sequence[Line], key: str, read: Reader) -> Iterator[str]:
    """Say of each line what its steps from value to value did (Holm over the steps of all lines)."""
    steps = [(line, *step) for line in lines for step in pairwise(line.rows)]
    p_values = [list(judge([before, after], read).p_values.values()) for _, before, after in steps]
    known = [step for step, found in zip(steps, p_values, strict=True) if found]
    corrected = holm([found[0] for found in p_values if found])
    told: dict[str, list[str]] = {}
    for (line, before, after), p in zip(known, corrected, strict=True):
        told.setdefault(line.name, []).append(_step(before, after, key, p))
    for name, words in told.items():
        yield f"{name} along {key}: {'; '.join(words)}."


def _step(before: Row, after: Row, key: str, p: float) -> str:
    better = _quality(after) > _quality(before)
    change = "no difference shown" if p >= LEVEL else "better" if better else "worse"
    return f"{plain(before[key])} to {plain(after[key])} {change}"
