"""What stays of a text that is too long: pure, on the token ids of its fields."""

from __future__ import annotations

from collections.abc import Sequence

from tunesweep.errors import require

HOW = ("tail", "head", "middle", "fields")


def fit(fields: Sequence[Sequence[int]], budget: int, how: str) -> list[list[int]]:
    """Cut the token lists of one example to `budget` tokens in all.

    Args:
        fields: token ids, field by field, in the order they are read.
        budget: how many may stay; with one for each field or more, none goes wholly.
        how: what is cut off. `tail`: the end of the whole; of two fields the ends of both, the longer
            one's first, as tokenizers do it. `head`: the beginning of the whole. `fields`: the end of each
            field, and `middle`: the middle of each; these two share the budget equally, and what a short
            field does not need goes to the longer ones.
    """
    require(how, HOW, "encoding.cut")
    lengths = [len(field) for field in fields]
    if sum(lengths) <= budget:
        return [list(field) for field in fields]
    if how == "head" or (how == "tail" and len(fields) > 2):
        shares = _from_one_side(lengths, budget, from_start=how == "head")
    else:
        shares = _equal(lengths, budget)
    keep = {"head": _last, "middle": _ends}.get(how, _first)
    return [keep(field, share) for field, share in zip(fields, shares, strict=True)]


def _equal(lengths: Sequence[int], budget: int) -> list[int]:
    """Share equally: the shortest first, so that what it leaves goes to the others."""
    shares, left = [0] * len(lengths), max(budget, 0)
    order = sorted(range(len(lengths)), key=lambda place: lengths[place])
    for done, place in enumerate(order):
        shares[place] = min(lengths[place], left // (len(order) - done))
        left -= shares[place]
    return shares


def _from_one_side(lengths: Sequence[int], budget: int, *, from_start: bool) -> list[int]:
    """Take from the first fields, or from the last ones, all but a token of each while that can be."""
    shares = [min(1, length) for length in lengths]
    if sum(shares) > budget:
        return _equal(lengths, budget)
    left = budget - sum(shares)
    order = range(len(lengths))
    for place in reversed(order) if from_start else order:
        more = min(lengths[place] - shares[place], left)
        shares[place] += more
        left -= more
    return shares


def _first(tokens: Sequence[int], share: int) -> list[int]:
    return list(tokens[:share])


def _last(tokens: Sequence[int], share: int) -> list[int]:
    return list(tokens[len(tokens) - share :])


def _ends(tokens: Sequence[int], share: int) -> list[int]:
    start = -(-share // 2)
    return [*tokens[:start], *tokens[len(tokens) - (share - start) :]]
