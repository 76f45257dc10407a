"""Equal tuning budgets: what the best of some trials scores, whoever had how many of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
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
    scores = list(select if test is None else test)
    if len(scores) != len(select):
        raise ValueError(
            f"{len(select)} scores to choose by and {len(scores)} to report do not belong together"
        )
    return [
        sum(score * weight for score, weight in zip(scores, weights, strict=True))
        for weights in chances(select, higher)
    ]


def chances(select: Sequence[float], higher: bool = True) -> list[list[float]]:
    """Return for 1 to N trials how likely each of the N is the one that is chosen, over all subsets."""
    n = len(select)
    order = sorted(range(n), key=lambda place: select[place] if higher else -select[place])
    ties = Counter(select)
    found = []
    for size in range(1, n + 1):
        shares = dict.fromkeys(ties, 0.0)
        for rank, place in enumerate(order):
            shares[select[place]] += comb(rank, size - 1) / comb(n, size)
        found.append([shares[score] / ties[score] for score in select])
    return found


def chosen_range(
    select: Sequence[float], test: Sequence[float], level: float = 0.95, higher: bool = True
) -> list[tuple[float, float]]:
    """Return for 1 to N trials between which scores the chosen one lies in that share of all subsets.

    Quantiles of the distribution whose mean `expected_best` is: what luck in drawing trials does. They are
    exact, as nothing is resampled; of all N trials both are the score of the best.
    """
    places = sorted(range(len(test)), key=test.__getitem__)
    ends = ((1 - level) / 2, (1 + level) / 2)
    found = []
    for weights in chances(select, higher):
        low, high = (_quantile([test[p] for p in places], [weights[p] for p in places], end) for end in ends)
        found.append((low, high))
    return found


def _quantile(scores: list[float], weights: list[float], share: float) -> float:
    """Return the least score that so large a share does not exceed; scores ascend."""
    total = accumulate(weights)
    return next((s for s, sum_ in zip(scores, total, strict=True) if sum_ >= share - 1e-12), scores[-1])
