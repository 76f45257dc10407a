from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import ttest_rel
from sklearn.metrics import f1_score
from statsmodels.stats.contingency_tables import mcnemar as of_statsmodels

from tunesweep.stats.pairs import bootstrap, mcnemar, permutation, sign_flips


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


def test_mcnemar_equals_statsmodels():
    rng = np.random.default_rng(1)
    first, second = rng.random(400) < 0.8, rng.random(400) < 0.74
    table = [[sum(first & second), sum(first & ~second)], [sum(~first & second), sum(~first & ~second)]]
    assert mcnemar(first, second).p == pytest.approx(of_statsmodels(table, exact=True).pvalue, rel=1e-9)


def flipped(differences: np.ndarray) -> float:
    """Share of all changes of sign whose mean lies as far from nought, or farther."""
    means = [np.mean(differences * signs) for signs in product((-1, 1), repeat=len(differences))]
    return float(np.mean(np.abs(means) >= abs(differences.mean()) - 1e-12))


def test_permutation_and_sign_flips_equal_enumeration():
    rng = np.random.default_rng(2)
    first, second = rng.normal(0.6, 1, 10), rng.normal(0, 1, 10)
    exact = flipped(first - second)
    assert permutation(first, second) == pytest.approx(exact)
    drawn = sign_flips(np.stack([first - second, second - first]), draws=200_000)
    assert drawn == pytest.approx([exact, exact], abs=0.005)


def test_sign_flips_of_many_examples_equal_the_paired_t_test():
    rng = np.random.default_rng(3)
    first = rng.normal(0.05, 1, 2000)
    second = rng.normal(0, 1, 2000)
    assert sign_flips((first - second)[None])[0] == pytest.approx(ttest_rel(first, second).pvalue, abs=0.015)


def test_rows_alike_do_not_differ():
    scores = np.array([0.0, 1.0, 1.0])
    assert permutation(scores, scores) == 1.0
    assert permutation(np.array([3.0]), np.array([5.0])) == 1.0  # either way round they are as far apart
    assert permutation(np.array([1.0, 1.0]), np.zeros(2)) == 0.5  # two of four ways are
    assert sign_flips(np.zeros((1, 3))) == [1.0]


def test_no_draw_makes_a_p_value_of_nought():
    assert sign_flips(np.ones((1, 500)), draws=99) == [1 / 100]


def macro_f1(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """F1 of values that hold label and prediction, ten times the one plus the other."""

    def score(row: np.ndarray) -> float:
        return float(f1_score(row // 10, row % 10, average="macro"))

    return np.apply_along_axis(score, axis, values)


def test_permutation_takes_any_metric():
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 3, 150)
    right, guess = labels, rng.integers(0, 3, 150)
    assert permutation(labels * 10 + right, labels * 10 + guess, macro_f1, draws=199) == pytest.approx(
        2 / 200
    )


def test_bootstrap_of_a_mean_equals_the_normal_interval():
    rng = np.random.default_rng(5)
    first, second = rng.normal(0.3, 1, 3000), rng.normal(0, 1, 3000)
    gaps = first - second
    half = 1.959964 * gaps.std(ddof=1) / 3000**0.5
    assert bootstrap(first, second) == pytest.approx((gaps.mean() - half, gaps.mean() + half), abs=0.002)


def test_bootstrap_draws_pairs_and_takes_percentiles_at_the_level_asked_for():
    """Against a loop: examples that move both rows alike, skewed, so that other intervals lie elsewhere."""
    rng = np.random.default_rng(4)
    shared = rng.normal(0, 10, 80)
    first, second = shared + rng.exponential(1, 80), shared.copy()
    gaps = (first - second)[rng.integers(0, 80, (20_000, 80))].mean(axis=1)
    for level in (0.5, 0.9):
        expected = np.quantile(gaps, [(1 - level) / 2, (1 + level) / 2])
        assert bootstrap(first, second, level=level) == pytest.approx(tuple(expected), abs=0.01)
    assert bootstrap(first, second) == bootstrap(first, second)


def test_draws_in_several_parts_are_as_many_as_in_one():
    many = np.random.default_rng(6).normal(0.008, 1, (1, 40_000))  # four hundred draws fit into one part
    (found,) = sign_flips(many, draws=1000)
    assert found == pytest.approx(ttest_rel(many[0], np.zeros(40_000)).pvalue, abs=0.04)
    assert found == sign_flips(many, draws=1000)[0]
    assert sign_flips(np.zeros((1, 40_000)), draws=1000) == [1.0]  # neither more draws nor fewer
