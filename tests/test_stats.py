from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from tunesweep.stats import holm, mcnemar, wilson

P = st.floats(0, 1)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (1, 10), (783, 1000), (10, 10), (1, 1), (499, 500)])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_wilson_equals_scipy(k, n, level):
    expected = binomtest(k, n).proportion_ci(level, method="wilson")
    assert wilson(k, n, level) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_equals_a_published_example():
    # R. G. Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263, method 3.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


def test_wilson_ends_at_nought_and_one_exactly():
    assert {wilson(0, n)[0] for n in range(1, 300)} == {0.0}
    assert {wilson(n, n)[1] for n in range(1, 300)} == {1.0}


def test_wilson_of_nothing_says_nothing():
    assert wilson(0, 0) == (0.0, 1.0)
    with pytest.raises(ValueError, match="k=3 must be between 0 and n=2"):
        wilson(3, 2)


def enumerated(b: int, c: int) -> float:
    """Probability of all outcomes of b + c fair coins that are as rare as b heads, or rarer."""
    heads = [sum(coins) for coins in product((0, 1), repeat=b + c)]
    times = [heads.count(k) for k in range(b + c + 1)]
    return sum(time for time in times if time <= times[b]) / len(heads)


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (0, 5), (3, 3), (2, 8), (7, 4), (10, 2)])
def test_mcnemar_equals_enumeration(b, c):
    first = [True] * b + [False] * c + [True] * 5 + [False] * 3
    second = [False] * b + [True] * c + [True] * 5 + [False] * 3
    found = mcnemar(first, second)
    assert (found.b, found.c) == (b, c)
    assert found.p == pytest.approx(enumerated(b, c))
    assert found.difference == pytest.approx((sum(first) - sum(second)) / len(first))
    assert mcnemar(second, first).p == pytest.approx(found.p)


def test_mcnemar_refuses_rows_of_other_lengths_and_none():
    with pytest.raises(ValueError, match="shorter"):
        mcnemar([True, False], [True])
    with pytest.raises(ValueError, match="at least one example"):
        mcnemar([], [])


def test_holm_equals_a_worked_example():
    # Four tests at 0.01, 0.04, 0.03, 0.005: 4 x 0.005, 3 x 0.01, 2 x 0.03, and 0.04 not below 0.06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def closed(p_values: list[float]) -> list[float]:
    """Holm by the closure principle: the largest Bonferroni p-value of all sets a hypothesis is in."""
    count = len(p_values)
    sets = [[i for i in range(count) if mask >> i & 1] for mask in range(1, 2**count)]
    combined = [(chosen, min(1.0, len(chosen) * min(p_values[i] for i in chosen))) for chosen in sets]
    return [max(p for chosen, p in combined if i in chosen) for i in range(count)]


@given(st.lists(P, min_size=1, max_size=6))
def test_holm_equals_the_closure_of_bonferroni(p_values):
    assert holm(p_values) == pytest.approx(closed(p_values))
