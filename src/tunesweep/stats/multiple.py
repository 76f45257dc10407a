"""Many tests at once: corrected p-values, and groups of rows that cannot be told apart."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from string import ascii_lowercase


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number (S. Holm 1979), in the order given."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def tie_groups(n: int, different: Collection[tuple[int, int]]) -> list[tuple[int, ...]]:
    """Return the largest groups of n rows in which no two are told apart, by their first row.

    `different` are the pairs that are, each with the smaller index first. Rows that share a group are tied;
    a row may lie in several. Insert and absorb: H.-P. Piepho, JCGS 13 (2004).
    """
    groups = [frozenset(range(n))] if n else []
    for first, second in sorted(different):
        split = [group for group in groups if {first, second} <= group]
        parts = [group - {row} for group in split for row in (first, second)]
        groups = _largest([*(group for group in groups if group not in split), *parts])
    return sorted(tuple(sorted(group)) for group in groups)


def _largest(groups: list[frozenset[int]]) -> list[frozenset[int]]:
    """Leave out groups that lie within another."""
    unique = list(dict.fromkeys(groups))
    return [group for group in unique if group and not any(group < other for other in unique)]


def letters(n: int, different: Collection[tuple[int, int]]) -> list[str]:
    """Return for each row the letters of its tie groups: rows that share a letter are tied."""
    found = [""] * n
    for place, group in enumerate(tie_groups(n, different)):
        for row in group:
            found[row] += _letter(place)
    return found


def _letter(place: int) -> str:
    """Return a to z, then a1, b1 and so on."""
    round_, index = divmod(place, len(ascii_lowercase))
    return ascii_lowercase[index] + (str(round_) if round_ else "")
