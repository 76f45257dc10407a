"""Equal tuning budgets: what the best of some trials scores, whoever had how many of them."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb


def expected_best(
    select: Sequence[float], test: Sequence[float] | None = None, higher: bool = True
) -> list[float]:
    """Return for 1 to N trials what the chosen one is expected to score.

    `select`: score of each of N trials on the split that chooses; `test`: on the split that is reported (the
    first where absent). The mean over all subsets of a size, each with its best by `select`: unbiased, after
    R. Tang and others, ACL 2020 (J. Dodge and others, EMNLP 2019, draw with replacement, which is not).
    Trials that tie on `select` are chosen in equal shares.
    """
    n = len(select)
    scores = list(select if test is None else test)
    if len(scores) != n:
        raise ValueError(f"{n} scores to choose by and {len(scores)} to report do not belong together")
    order = sorted(range(n), key=lambda place: select[place] if higher else -select[place])
    ranked = _shared([select[place] for place in order], [scores[place] for place in order])
    return [
        sum(score * comb(rank, size - 1) for rank, score in enumerate(ranked)) / comb(n, size)
        for size in range(1, n + 1)
    ]


def _shared(select: list[float], scores: list[float]) -> list[float]:
    """Give trials that tie on select their mean score."""
    groups: dict[float, list[float]] = {}
    for chosen, score in zip(select, scores, strict=True):
        groups.setdefault(chosen, []).append(score)
    return [sum(groups[chosen]) / len(groups[chosen]) for chosen in select]


def chosen(select: Sequence[float], higher: bool = True) -> int:
    """Return the place of the best trial on select, the first of several."""
    best = max(select) if higher else min(select)
    return list(select).index(best)
