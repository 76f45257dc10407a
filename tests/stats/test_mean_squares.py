"""Errors, freedoms and power of crossed cells against the mean squares of an analysis of variance."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pandas as pd
import pytest
from scipy.stats import nct, t
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from tunesweep.stats.cells import Cell, difference, estimate
from tunesweep.stats.needed import MOST_SEEDS, needed

SEEDS, EXAMPLES = 4, 12


def drawn(seed: int, seeds: int = SEEDS, by_seed: float = 0.5, by_example: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    effects = rng.normal(0, by_seed, (seeds, 1)) + rng.normal(0, by_example, (1, EXAMPLES))
    return effects + rng.normal(0, 0.7, (seeds, EXAMPLES))


def mean_squares(scores: np.ndarray) -> tuple[list[float], list[float]]:
    """Return mean squares of seeds, examples and the rest, as variances of the mean, and their freedoms."""
    rows = [(str(s), str(e), value) for (s, e), value in np.ndenumerate(scores)]
    frame = pd.DataFrame(rows, columns=["seed", "example", "score"])
    table = anova_lm(ols("score ~ seed + example", frame).fit())
    return list(table["sum_sq"] / table["df"] / scores.size), list(table["df"])


def satterthwaite(variance: float, parts: list[float], freedoms: list[float]) -> float:
    """F. E. Satterthwaite, Biometrics Bulletin 2 (1946)."""
    return variance**2 / sum(part**2 / freedom for part, freedom in zip(parts, freedoms, strict=True))


@pytest.mark.parametrize("seed", range(4))
def test_a_mean_has_the_error_and_the_freedom_of_its_mean_squares(seed):
    scores = drawn(seed)
    parts, freedoms = mean_squares(scores)
    variance = parts[0] + parts[1] - parts[2]
    found = estimate(Cell(scores))
    assert found.error == pytest.approx(sqrt(variance))
    assert found.freedom == pytest.approx(satterthwaite(variance, parts, freedoms))


def test_the_rest_never_takes_off_more_than_there_is():
    """Scores that are nothing but rest: one effect seems smaller than none; the other alone then counts."""
    seen = set()
    for seed in range(40):
        scores = drawn(seed, by_seed=0, by_example=0)
        seeds, examples, rest = mean_squares(scores)[0]
        found = estimate(Cell(scores)).error ** 2
        assert found == pytest.approx(max(seeds + examples - rest, seeds, examples))
        seen |= {"seeds"} if examples < rest and seeds > examples else set()
        seen |= {"examples"} if seeds < rest and examples > seeds else set()
    assert seen == {"seeds", "examples"}


def test_a_difference_has_the_examples_gaps_and_both_cells_seeds_and_rests():
    first, second = drawn(1), drawn(2, seeds=6)
    gaps = first.mean(axis=0) - second.mean(axis=0)
    parts, freedoms = [float(gaps.var(ddof=1)) / EXAMPLES], [EXAMPLES - 1.0]
    rests = 0.0
    for scores in (first, second):
        (seeds, _, rest), (of_seeds, _, of_rest) = mean_squares(scores)
        parts, freedoms, rests = [*parts, seeds, rest], [*freedoms, of_seeds, of_rest], rests + rest
    variance = parts[0] + parts[1] + parts[3] - rests
    found = difference(Cell(first), Cell(second))
    assert found.error == pytest.approx(sqrt(variance))
    assert found.freedom == pytest.approx(satterthwaite(variance, parts, freedoms))


def test_what_cannot_vary_has_no_error():
    one = estimate(Cell(np.array([[0.7]])))
    assert (one.value, one.error, one.freedom) == (0.7, 0.0, 1)
    assert estimate(Cell(np.array([[0.7, 0.7, 0.7]]))).freedom == 2
    two = np.array([[0.4, 0.8]])
    assert estimate(Cell(two)).error == pytest.approx(two.std(ddof=1) / sqrt(2))


@pytest.mark.parametrize(("ahead", "seed"), [(2.0, 1), (2.0, 2), (1.3, 3), (2.5, 7)])
def test_seeds_needed_are_the_least_that_find_the_gap_often_enough(ahead, seed):
    first, second = drawn(seed) + ahead, drawn(seed + 10)
    variance = _components(first, second)
    gap = abs(first.mean() - second.mean())

    def enough(seeds: int, examples: int) -> bool:
        return _power(gap, variance(seeds, examples), 2 * (seeds - 1)) >= 0.8

    found = needed(Cell(first), Cell(second))
    assert found.seeds == next((k for k in range(2, MOST_SEEDS + 1) if enough(k, EXAMPLES)), None)
    least = next((n for n in range(EXAMPLES, 3000) if enough(SEEDS, n)), None)
    if found.examples is None or least is None:
        assert found.examples is least
    else:
        assert least <= found.examples <= np.ceil(1.05 * least)


def _components(first: np.ndarray, second: np.ndarray):
    """Return the variance of the difference by numbers of seeds and examples, from components of variance."""
    rests = sum(mean_squares(scores)[0][2] * scores.size for scores in (first, second))
    seeds = sum(max(s - r, 0) * SEEDS for s, _, r in (mean_squares(scores)[0] for scores in (first, second)))
    gaps = (first - second).mean(axis=0)
    examples = max(gaps.var(ddof=1) - rests / SEEDS, 0)
    return lambda k, n: seeds / k + examples / n + rests / (k * n)


def _power(gap: float, variance: float, freedom: int) -> float:
    critical, shift = t.ppf(0.975, freedom), gap / sqrt(variance)
    return nct.sf(critical, freedom, shift) + nct.cdf(-critical, freedom, shift)
