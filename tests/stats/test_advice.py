from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, t

from tunesweep.stats.advice import (
    Known,
    Terms,
    advise,
    examples_to_decide,
    guess,
    seeds_to_decide,
    within,
    worth_of_row,
    worth_of_seeds,
)
from tunesweep.stats.cells import Cell, best_probability


def same_examples(*rows: list[float]) -> list[Cell]:
    """Cells whose examples all score alike, so that seeds alone make their error."""
    return [Cell(np.tile(np.array(row)[:, None], 50)) for row in rows]


def spaced(mean: float, spread: float, seeds: int) -> list[float]:
    """Scores of seeds with exactly this mean and standard deviation."""
    raw = np.linspace(-1, 1, seeds)
    return list(mean + spread * raw / raw.std(ddof=1))


def test_within_epsilon_of_examples_is_the_normal_tail():
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 1, 400))
    known = Known.of([Cell(first, fixed=True), Cell(second, fixed=True)], draws=200_000)
    gaps = (first - second)[0]
    error = gaps.std(ddof=1) / 20
    expected = [norm.cdf((sign * gaps.mean() + 0.01) / error) for sign in (1, -1)]
    assert within(known.means, 0.01) == pytest.approx(expected, abs=0.005)


def test_within_epsilon_of_seeds_is_students_tail():
    cells = [*same_examples(spaced(0.8, 0.02, 4)), Cell(np.full((1, 50), 0.81), fixed=True)]
    known = Known.of(cells, draws=200_000)
    expected = t.cdf((0.8 - 0.81 + 0.015) / (0.02 / 2), 3)
    assert within(known.means, 0.015)[0] == pytest.approx(expected, abs=0.005)


def test_within_nothing_is_being_the_best():
    rng = np.random.default_rng(1)
    cells = [Cell(rng.random((3, 80)) + shift) for shift in (0, 0.02, 0.05)]
    assert within(Known.of(cells).means, 0.0) == pytest.approx(best_probability(cells))


def test_where_lower_is_better_all_is_turned_round():
    rng = np.random.default_rng(2)
    scores = [rng.random((3, 80)) + shift for shift in (0, 0.1)]
    up = within(Known.of([Cell(each) for each in scores]).means, 0.02)
    down = within(Known.of([Cell(-each) for each in scores], higher=False).means, 0.02)
    assert down == pytest.approx(up, abs=0.02)


MEANS = np.array([[0.80], [0.79], [0.70]]).repeat(10, axis=1)


@pytest.mark.parametrize(
    ("order", "epsilon", "place", "decided"),
    [
        ((2, 1, 0), 0.02, 1, True),
        ((2, 1, 0), 0.2, 2, True),
        ((0, 1, 2), 0.2, 0, True),
        ((2, 1), 0.0, 2, False),
    ],
)
def test_the_cheapest_that_reaches_the_probability_is_advised(order, epsilon, place, decided):
    found = advise(MEANS, Terms(order, epsilon, 0.9))
    assert (found.place, found.decided) == (place, decided)


def test_the_nearest_is_named_where_none_reaches_it():
    means = np.array([[1.0] * 6 + [0.0] * 4, [0.0] * 6 + [1.0] * 4])
    found = advise(means, Terms((1, 0), 0.1, 0.9))
    assert (found.place, found.decided, found.chances) == (0, False, (0.6, 0.4))


def test_a_further_seed_is_worth_what_drawing_one_shows():
    rows = [spaced(0.800, 0.02, 10), spaced(0.806, 0.02, 10), spaced(0.5, 0.02, 10)]
    cells, terms = same_examples(*rows), Terms((0, 1, 2), 0.01, 0.7)
    known = Known.of(cells)
    worth = worth_of_seeds(known, terms)
    before = advise(known.means, terms)
    rng, changed = np.random.default_rng(5), 0
    for _ in range(200):
        truth = 0.8 + 0.02 / np.sqrt(10) * rng.standard_t(9)
        more = [*rows[0], truth + 0.02 * rng.normal()]
        after = advise(Known.of(same_examples(more, *rows[1:]), draws=4000).means, terms)
        changed += after.taken != before.taken
    assert worth[0] == pytest.approx(changed / 200, abs=0.1)
    assert 0.05 < worth[0] < 0.95
    assert worth[2] == 0  # far behind: no seed brings it back


def test_what_has_no_seeds_has_none_to_add():
    cells = [Cell(np.full((1, 50), 0.8), fixed=True), *same_examples(spaced(0.8, 0.02, 3))]
    assert worth_of_seeds(Known.of(cells), Terms((0, 1), 0.01, 0.9))[0] == 0


def test_seeds_that_would_decide_agree_with_the_normal_formula():
    rows = [spaced(0.8, 0.02, 3), spaced(0.8, 0.02, 3)]
    found = seeds_to_decide(Known.of(same_examples(*rows)), Terms((0, 1), 0.01, 0.9))
    each = 2 * (norm.ppf(0.9) * 0.02 / 0.01) ** 2  # 13.1 seeds, three of which there are
    assert found == 12
    assert 8 < each - 3 < 12


def test_examples_that_would_decide_agree_with_the_normal_formula():
    rng = np.random.default_rng(0)
    first, second = rng.normal(0, 0.1, (2, 100))
    second += first.mean() - second.mean()
    cells = [Cell(each[None], fixed=True) for each in (first, second)]
    known = Known.of(cells)
    needed = (norm.ppf(0.9) * (first - second).std(ddof=1) / 0.01) ** 2
    found = examples_to_decide(known, Terms((0, 1), 0.01, 0.9))
    assert found in (300, 500)
    assert found / 2 < needed < found
    assert seeds_to_decide(known, Terms((0, 1), 0.01, 0.9)) is None


def test_an_unknown_row_is_expected_among_the_others():
    values = [0.7, 0.75, 0.8, 0.72]
    drawn = guess(values, draws=200_000)
    spread = np.std(values, ddof=1) * np.sqrt(1 + 1 / 4)
    for level in (0.05, 0.5, 0.95):
        expected = t.ppf(level, 3, loc=np.mean(values), scale=spread)
        assert np.quantile(drawn, level) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize(
    ("values", "cheaper", "expected"),
    [([0.795], True, 1.0), ([0.795], False, 0.0), ([0.83], False, 1.0), ([0.5, 0.795], True, 0.5)],
)
def test_another_row_matters_where_it_would_be_taken_or_leaves_the_advised_behind(values, cheaper, expected):
    guesses = np.array(values).repeat(10 // len(values))
    found = advise(MEANS, Terms((1, 0, 2), 0.02, 0.9))
    assert worth_of_row(MEANS, guesses, found, cheaper, 0.02) == expected
