from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tunesweep.report.html.axes import log_ticks, scale, ticks

POSITIVE = st.floats(1e-6, 1e12)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1), st.booleans())
def test_every_value_lies_on_the_axis(values, upward):
    start, end = (0, 100) if upward else (100, 0)
    found = scale(values, start, end)
    assert all(0 <= found.at(value) <= 100 for value in values)


@given(st.lists(POSITIVE, min_size=1))
@example([1.0000000000000002e-06, 1e-06])
def test_every_value_lies_on_a_logarithmic_axis_in_its_order(values):
    found = scale(values, 0, 100, log=True)
    places = [found.at(value) for value in sorted(values)]
    assert places == sorted(places)
    assert 0 <= places[0] <= places[-1] <= 100


@given(POSITIVE, st.floats(1.0001, 1e9))
def test_ticks_are_a_few_and_lie_between_the_ends(low, factor):
    high = low * factor
    for found in (ticks(low, high), log_ticks(low, high)):
        assert 1 <= len(found) <= 20
        assert all(low * (1 - 1e-6) <= value <= high * (1 + 1e-6) for value in found)
        assert found == sorted(set(found))


def test_ticks_are_round():
    assert ticks(0.561, 0.967, 6) == [0.6, 0.7, 0.8, 0.9]
    assert ticks(0, 10, 5) == [0, 2, 4, 6, 8, 10]
    assert log_ticks(3, 4000) == [3, 10, 30, 100, 300, 1000, 3000]
    assert log_ticks(90, 1100) == [100, 200, 300, 500, 1000]
    assert log_ticks(5.1, 7.2) == ticks(5.1, 7.2)


def test_a_logarithmic_axis_is_one():
    found = scale([1, 100], 0, 100, log=True)
    assert found.at(10) == pytest.approx(50)
    assert found.at(math.sqrt(10)) == pytest.approx((found.at(1) + found.at(10)) / 2)
