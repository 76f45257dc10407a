"""Where to cut rows that are sorted by their width, when all rows of a batch are padded to its widest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def cheapest_cut(
    widths: Sequence[int] | np.ndarray,
    rows: Sequence[int] | np.ndarray,
    fixed: int,
    most: int | None = None,
    heaviest: int | None = None,
) -> list[slice]:
    """Return the parts whose padded tokens, and `fixed` more for each part, are the fewest in all.

    Args:
        widths: tokens in a row, the widest first.
        rows: how many rows there are of each width that is named.
        fixed: tokens that take as long as what a part costs by itself.
        most: widths in a part at most; None: all of them.
        heaviest: padded tokens in a part at most, one of a single width apart; None: no limit.
    """
    count = len(widths)
    total = np.concatenate(([0], np.cumsum(rows)))  # rows before each place
    best, ends = np.zeros(count + 1), np.zeros(count, dtype=int)  # of what begins at each place
    for start in range(count - 1, -1, -1):
        last = count if most is None else min(count, start + most)
        possible = np.arange(last, start, -1)  # of ways that cost the same, the one with the largest part
        tokens = (total[possible] - total[start]) * widths[start]
        costs = best[possible] + fixed + tokens
        if heaviest is not None:
            costs[:-1][tokens[:-1] > heaviest] = np.inf
        chosen = int(costs.argmin())
        best[start], ends[start] = costs[chosen], possible[chosen]
    parts, start = [], 0
    while start < count:
        parts.append(slice(start, int(ends[start])))
        start = int(ends[start])
    return parts
