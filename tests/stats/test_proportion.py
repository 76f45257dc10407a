from __future__ import annotations

import pytest
from scipy.stats import binomtest

from tunesweep.stats.proportion import wilson


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
