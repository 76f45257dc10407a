from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, ttest_1samp, ttest_ind, ttest_rel
from statsmodels.regression.mixed_linear_model import MixedLM

from tunesweep.stats.cells import Cell, best_probability, difference, effect_size, estimate


def drawn(seeds: int, examples: int, spread: float = 0.5, mean: float = 0.0, seed: int = 0) -> np.ndarray:
    """Scores [seeds, examples] with effects of seeds, of examples, and of both."""
    rng = np.random.default_rng(seed)
    by_seed = rng.normal(0, spread, (seeds, 1))
    return mean + by_seed + rng.normal(0, 1, (1, examples)) + rng.normal(0, 0.7, (seeds, examples))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_mean_and_error_equal_a_mixed_model_of_crossed_effects(seed):
    scores = drawn(5, 40, seed=seed)
    rows = [(s, e, scores[s, e]) for s in range(5) for e in range(40)]
    frame = pd.DataFrame(rows, columns=["seed", "example", "score"])
    parts = {"seed": "0 + C(seed)", "example": "0 + C(example)"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a group of its own, and of steps on the way to the maximum
        model = MixedLM.from_formula(
            "score ~ 1", frame, groups=np.ones(200), vc_formula=parts, re_formula="0"
        )
        fitted = model.fit(reml=True)
    found = estimate(Cell(scores))
    assert found.value == pytest.approx(fitted.params["Intercept"])
    assert found.error == pytest.approx(fitted.bse["Intercept"], rel=0.01)


def test_one_seed_is_the_t_interval_over_examples():
    scores = drawn(1, 50)
    expected = ttest_1samp(scores[0], 0).confidence_interval()
    assert estimate(Cell(scores)).interval() == pytest.approx((expected.low, expected.high))


def test_examples_alike_leave_welchs_test_over_seeds():
    rng = np.random.default_rng(1)
    first, second = rng.normal(0.9, 0.02, 4), rng.normal(0.87, 0.01, 7)
    found = difference(Cell(np.tile(first[:, None], 30)), Cell(np.tile(second[:, None], 30)))
    expected = ttest_ind(first, second, equal_var=False)
    assert (found.p, found.freedom) == pytest.approx((expected.pvalue, expected.df))
    interval = expected.confidence_interval()
    assert found.interval() == pytest.approx((interval.low, interval.high))


def test_seeds_alike_leave_the_paired_test_over_examples():
    first, second = drawn(1, 200, seed=2), drawn(1, 200, mean=0.1, seed=3)
    expected = ttest_rel(first[0], second[0])
    fixed = difference(Cell(first, fixed=True), Cell(second, fixed=True))
    assert (fixed.p, fixed.freedom) == pytest.approx((expected.pvalue, expected.df))


def test_a_fixed_row_is_compared_with_seeds_of_another():
    trained = Cell(drawn(4, 300, spread=0.3, seed=4))
    prompted = Cell(drawn(1, 300, seed=5), fixed=True)
    found = difference(trained, prompted)
    assert prompted.enough
    assert found.error**2 >= trained.from_seeds


def test_cells_on_other_examples_are_refused():
    with pytest.raises(ValueError, match="cells of 30 and 20 examples are not paired"):
        difference(Cell(drawn(3, 30)), Cell(drawn(3, 20)))


def test_effect_size_equals_hedges_published_example():
    # M. Borenstein and others, Introduction to Meta-Analysis (2009), p. 28: means 103 and 100, spreads 5.5
    # and 4.5, fifty in each group: d = 0.5970, g = 0.5924.
    rng = np.random.default_rng(6)

    def group(mean: float, spread: float) -> Cell:
        values = rng.normal(size=50)
        return Cell((mean + spread * (values - values.mean()) / values.std(ddof=1))[:, None])

    assert effect_size(group(103, 5.5), group(100, 4.5)) == pytest.approx(0.5924, abs=5e-4)
    assert effect_size(group(1, 1), Cell(np.zeros((1, 1)))) is None


def test_probability_of_the_best_of_two_is_the_normal_one():
    first, second = Cell(drawn(1, 500, seed=7)), Cell(drawn(1, 500, mean=0.05, seed=8))
    gap = difference(first, second)
    found = best_probability([first, second])
    assert sum(found) == pytest.approx(1)
    assert found[0] == pytest.approx(norm.cdf(gap.value / gap.error), abs=0.01)
    assert best_probability([first, second], higher=False)[0] == pytest.approx(1 - found[0], abs=1e-12)
    assert best_probability([first]) == [1.0]
    same = Cell(first.scores.copy())
    assert best_probability([first, same]) == pytest.approx([0.5, 0.5], abs=1e-9)  # neither is ahead
    seeded = [Cell(drawn(4, 200, spread=0.4, mean=mean, seed=9)) for mean in (0.0, 0.1)]
    up, down = (best_probability(seeded, higher=higher) for higher in (True, False))
    assert down == pytest.approx(up[::-1], abs=1e-9)  # the best of one is the worst of the other
    third = Cell(first.scores.copy())
    of_four = best_probability([first, same, second, third])
    assert of_four[0] == pytest.approx(of_four[1], abs=1e-9) == pytest.approx(of_four[3], abs=1e-9)
    assert sum(of_four) == pytest.approx(1)


def test_one_example_says_nothing_of_others():
    with pytest.raises(ValueError, match=r"^one scored example says nothing of others: .* from two or more$"):
        best_probability([Cell(np.ones((3, 1))), Cell(np.zeros((3, 1)))])
    # Two do: all seeds of one row are right on both, all of the other wrong, and nothing spreads.
    assert best_probability([Cell(np.ones((3, 2))), Cell(np.zeros((3, 2)))]) == [1.0, 0.0]


def test_where_less_is_better_means_are_turned_round_with_all_that_seeds_do_to_them():
    scores = np.random.default_rng(5).normal([[0.0], [0.3]], 1.0, (2, 40))
    losses = [Cell(scores + np.array([[0.0], [spread]])) for spread in (0.0, 0.4)]
    turned = [Cell(-cell.scores) for cell in losses]
    assert best_probability(losses, higher=False) == pytest.approx(best_probability(turned), abs=0.02)
