"""Which runs go through the base in one pass: those whose batches are about as wide, or else most is padding.

Runs with seeds of their own see batches of other lengths at the same step. Each pass costs something before
a token is computed, so the cheapest cut is looked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from tunesweep.data.cuts import cheapest_cut
from tunesweep.fused.rules import HEAVIEST

# Tokens that take as long as what a pass costs by itself. Measured with MiniLM on a CPU of two cores: passes
# of 1 to 8 batches of 900 tokens take 75 ms and 72 ms more for each batch. On a GPU it was not measured:
# there all runs go together.
FIXED = {"cpu": 1000}


def passes(sizes: Sequence[tuple[int, int]], widest: int, device: str) -> list[list[int]]:
    """Return the places of the runs that go together, for batches of so many (rows, tokens in a row).

    Args:
        sizes: of the batches of a step, a run's each.
        widest: padded tokens of the widest batch that a run may see at any step.
        device: the kind of device, as PyTorch names it.
    """
    if device not in FIXED:
        return [list(range(len(sizes)))]
    order = sorted(range(len(sizes)), key=lambda place: -sizes[place][1])
    rows, widths = zip(*(sizes[place] for place in order), strict=True)
    parts = cheapest_cut(widths, rows, FIXED[device], heaviest=HEAVIEST * widest)
    return [sorted(order[part]) for part in parts]
