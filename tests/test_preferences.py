from __future__ import annotations

import pytest

from tunesweep.preferences import order_consistency, position_bias

SWAP = ["a", "b"]


@pytest.mark.parametrize(
    ("predicted", "swapped", "consistency", "bias"),
    [
        ("aabb", "bbaa", 1.0, 0.0),  # follows the responses
        ("aaaa", "aaaa", 0.0, 1.0),  # always the first
        ("bbbb", "bbbb", 0.0, -1.0),
        ("tttt", "tttt", 1.0, 0.0),
        ("abta", "bata", 0.75, 0.25),  # one of four clings to the first place
        ("at", "tt", 0.5, 0.25),  # a tie in one order alone counts half
        ("ab", "ab", 0.0, 0.0),  # as often the first as the second
        ("a", "b", 1.0, 0.0),
    ],
)
def test_what_the_order_does_is_counted_by_hand(predicted, swapped, consistency, bias):
    assert order_consistency(list(predicted), list(swapped), SWAP) == consistency
    assert position_bias(list(predicted), list(swapped), SWAP) == bias


def test_without_ties_the_bias_is_that_of_the_judges_paper():
    # Zheng et al. 2023, table 2, GPT-4 with the default prompt: 65.0 % consistent,
    # 30.0 % biased toward first, 5.0 % toward second.
    predicted = ["a"] * 40 + ["b"] * 25 + ["a"] * 30 + ["b"] * 5
    swapped = ["b"] * 40 + ["a"] * 25 + ["a"] * 30 + ["b"] * 5
    assert order_consistency(predicted, swapped, SWAP) == 0.65
    assert position_bias(predicted, swapped, SWAP) == pytest.approx(0.30 - 0.05)


def test_classes_may_have_any_names_and_places_follow_swap():
    predicted, swapped = ["left", "left", "even"], ["left", "right", "even"]
    assert position_bias(predicted, swapped, ["left", "right"]) == pytest.approx(1 / 3)
    assert position_bias(predicted, swapped, ["right", "left"]) == pytest.approx(-1 / 3)
    assert order_consistency(predicted, swapped, ["left", "right"]) == pytest.approx(2 / 3)


def test_nothing_and_nonsense_are_refused():
    with pytest.raises(ValueError, match="at least one example"):
        order_consistency([], [], SWAP)
    with pytest.raises(ValueError, match="zip"):
        position_bias(["a"], [], SWAP)
    with pytest.raises(ValueError, match="must be two classes"):
        position_bias(["a"], ["b"], ["a"])
    with pytest.raises(ValueError, match="must be two classes"):
        order_consistency(["a"], ["b"], ["a", "a"])
