"""What the order of two responses does to a preference between them: first, second or tie.

Predictions are class names. `swap` names the class that prefers the response in the first place, and the one
that prefers that in the second; every other class, such as a tie, is the same in both orders.
"""

from __future__ import annotations

from collections.abc import Sequence


def order_consistency(predicted: Sequence[str], swapped: Sequence[str], swap: Sequence[str]) -> float:
    """Return the share of examples whose prediction changes places when the responses do.

    That is the consistency of Zheng et al. 2023 (arXiv:2306.05685, table 2). A model that always says tie has
    all of it: it is a property beside accuracy, not instead of it.
    """
    first, second = _places(swap)
    other = {first: second, second: first}
    pairs = _pairs(predicted, swapped)
    return sum(other.get(one, one) == two for one, two in pairs) / len(pairs)


def position_bias(predicted: Sequence[str], swapped: Sequence[str], swap: Sequence[str]) -> float:
    """Return the share predicted first minus the share predicted second, over both orders: from -1 to 1.

    An example that prefers the same response in both orders adds nothing, whichever it is. So where there is
    no tie, this is "biased toward first" minus "biased toward second" of Zheng et al. 2023 (arXiv:2306.05685,
    table 2); a tie in one order alone counts half.
    """
    first, second = _places(swap)
    both = [name for pair in _pairs(predicted, swapped) for name in pair]
    return (both.count(first) - both.count(second)) / len(both)


def _pairs(predicted: Sequence[str], swapped: Sequence[str]) -> list[tuple[str, str]]:
    pairs = list(zip(predicted, swapped, strict=True))
    if not pairs:
        raise ValueError("measures of order need at least one example that was predicted in both orders")
    return pairs


def _places(swap: Sequence[str]) -> tuple[str, str]:
    if len(swap) != 2 or swap[0] == swap[1]:
        raise ValueError(f"swap={list(swap)} must be two classes, of the first response and of the second")
    return swap[0], swap[1]
