"""Whether two files of predictions say the same, example by example. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np

Columns = Mapping[str, Sequence[object]]


@dataclass(frozen=True)
class Agreement:
    """What differs between two files; nothing, if they are the same to the bit."""

    n: int
    columns: tuple[str, ...]  # that were compared
    odd: tuple[str, ...]  # ids of examples that differ in anything, in the order of the file
    answers: tuple[str, ...]  # ids of examples that got another prediction, or label
    change: float  # the largest of a number
    where: str | None = None  # the column of that change
    shape: str | None = None  # why the files cannot be laid side by side

    @property
    def identical(self) -> bool:
        """Whether every value is the same to the bit."""
        return self.shape is None and not self.odd

    def within(self, tolerance: float) -> bool:
        """Whether all words are the same, and no number has changed by more."""
        return self.identical or (self.shape is None and not self.answers and self.change <= tolerance)


def compare(first: Columns, second: Columns) -> Agreement:
    """Compare two files, each of columns with an `id`; examples are laid side by side by their ids."""
    names = tuple(name for name in first if name != "id")
    ids = [str(name) for name in first["id"]]
    if shape := _misfit(first, second):
        return Agreement(len(ids), names, (), (), 0.0, shape=shape)
    place = {str(name): row for row, name in enumerate(second["id"])}
    order = [place[name] for name in ids]
    odd, answers, changes = np.zeros(len(ids), bool), np.zeros(len(ids), bool), {}
    for name in names:
        one, other = list(first[name]), [second[name][row] for row in order]
        differs = ~_same(one, other)
        odd |= differs
        if _numbers(one) and _numbers(other):
            changes[name] = _change(one, other)
        else:
            answers |= differs
    where = max(changes, key=lambda name: changes[name], default=None)
    several, others = (tuple(ids[row] for row in np.flatnonzero(rows)) for rows in (odd, answers))
    return Agreement(len(ids), names, several, others, changes[where] if where else 0.0, where)


def _misfit(first: Columns, second: Columns) -> str | None:
    """Return what of two files cannot be laid side by side: other columns, or other examples."""
    if set(first) != set(second):
        return f"one has the columns {', '.join(sorted(first))}, the other {', '.join(sorted(second))}"
    one, other = ([str(name) for name in part["id"]] for part in (first, second))
    if len({*one}) < len(one) or len({*other}) < len(other):
        return "an id occurs twice in a file of predictions"
    if odd := set(one) ^ set(other):
        return f"{len(odd)} examples are in one and not in the other ({min(odd)} is one)"
    return None


def _numbers(values: Sequence[object]) -> bool:
    return all(value is None or isinstance(value, int | float) for value in values)


def _same(one: Sequence[object], other: Sequence[object]) -> np.ndarray:
    """Compare value by value; no number in both, where an example has no such score, is the same."""
    return np.array([a == b or (_nothing(a) and _nothing(b)) for a, b in zip(one, other, strict=True)], bool)


def _nothing(value: object) -> bool:
    return value is None or (isinstance(value, float) and isnan(value))


def _change(one: Sequence[object], other: Sequence[object]) -> float:
    """Return the largest difference; a number in the place of none is infinitely far."""
    first, second = (np.array([np.nan if v is None else v for v in part], float) for part in (one, other))
    gaps = np.abs(first - second)
    gaps[np.isnan(first) & np.isnan(second)] = 0.0
    return float(np.nan_to_num(gaps, nan=np.inf).max(initial=0.0))
