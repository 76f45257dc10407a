"""Which runs go through the base in one pass: those whose batches are about as wide, or else most is padding.

Runs with seeds of their own see batches of other lengths at the same step. Each pass costs something before
a token is computed, so the cheapest cut is looked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

# Tokens that take as long as what a pass costs by itself. Measured with MiniLM on a CPU of two cores: passes
# of 1 to 8 batches of 900 tokens take 75 ms and 72 ms more for each batch. On a GPU it was not measured:
# there all runs go together.
FIXED = {"cpu": 1000}


def passes(sizes: Sequence[tuple[int, int]], device: str) -> list[list[int]]:
    """Return the places of the runs that go together, for batches of so many (rows, tokens in a row)."""
    if device not in FIXED:
        return [list(range(len(sizes)))]
    order = sorted(range(len(sizes)), key=lambda place: sizes[place][1])
    best: list[tuple[int, list[int]]] = [(0, [0])]  # by how many of them: cost, and where parts end
    for end in range(1, len(order) + 1):
        ways = [
            (best[start][0] + _cost([sizes[place] for place in order[start:end]], FIXED[device]), start)
            for start in range(end)
        ]
        cost, start = min(ways)
        best.append((cost, [*best[start][1], end]))
    return [sorted(order[start:end]) for start, end in pairwise(best[-1][1])]


def _cost(sizes: Sequence[tuple[int, int]], fixed: int) -> int:
    """Return what a pass costs, in tokens: every row is padded to the longest."""
    return fixed + sum(rows for rows, _ in sizes) * max(width for _, width in sizes)
