from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import nct, t
from statsmodels.stats.power import TTestIndPower, TTestPower

from tunesweep.stats.cells import Cell
from tunesweep.stats.needed import Needed, needed


def seeded(mean: float, spread: float, seeds: int) -> Cell:
    """A cell whose examples are all alike, with exactly this mean and spread."""
    values = np.random.default_rng(0).normal(size=seeds)
    values = mean + spread * (values - values.mean()) / values.std(ddof=1)
    return Cell(np.tile(values[:, None], 20))


@pytest.mark.parametrize(("gap", "spread"), [(0.01, 0.01), (0.02, 0.01), (0.004, 0.008)])
def test_seeds_equal_those_of_a_t_test(gap, spread):
    found = needed(seeded(0.8 + gap, spread, 4), seeded(0.8, spread, 4))
    expected = TTestIndPower().solve_power(gap / spread, power=0.8, alpha=0.05)
    assert found.seeds == np.ceil(expected)


def test_examples_grow_with_the_square_of_the_gap():
    rng = np.random.default_rng(1)
    base = rng.normal(size=(1, 400))

    def cell(gap: float) -> Cell:
        return Cell(np.repeat(base, 3, axis=0) + gap + rng.normal(0, 0.01, (3, 400)) + noise)

    noise = rng.normal(0, 1, (1, 400))
    other = Cell(np.repeat(base, 3, axis=0) + rng.normal(0, 0.01, (3, 400)))
    shift = float(noise.mean())
    wide, narrow = needed(cell(0.1 - shift), other), needed(cell(0.05 - shift), other)
    assert wide.examples
    assert narrow.examples
    assert narrow.examples / wide.examples == pytest.approx(4, rel=0.15)
    assert wide.seeds is None  # the examples alone leave more doubt than the gap


def test_nothing_tells_equal_cells_apart_nor_those_of_one_example():
    assert needed(Cell(np.ones((3, 1))), Cell(np.zeros((3, 1)))) == Needed(None, None)
    assert needed(seeded(0.8, 0.01, 3), seeded(0.8, 0.01, 3)) == Needed(None, None)


@pytest.mark.parametrize(("gap", "spread"), [(0.01, 0.01), (0.02, 0.01), (0.004, 0.008)])
def test_seeds_against_a_fixed_cell_equal_those_of_a_t_test_of_one_sample(gap, spread):
    fixed = Cell(np.full((1, 20), 0.8), fixed=True)
    expected = TTestPower().solve_power(gap / spread, power=0.8, alpha=0.05)
    for pair in ((fixed, seeded(0.8 + gap, spread, 5)), (seeded(0.8 + gap, spread, 5), fixed)):
        assert needed(*pair).seeds == np.ceil(expected)


def drawn(seeds: int, n: int) -> np.ndarray:
    """Scores [seeds, examples] in which seeds, examples and the rest all have a part."""
    rng = np.random.default_rng(3)
    return 0.5 + rng.normal(0, 0.004, (seeds, 1)) + rng.normal(0, 0.3, n) + rng.normal(0, 0.1, (seeds, n))


def components(gaps: np.ndarray) -> tuple[float, float, float]:
    """Variances of seeds, examples and the rest, from mean squares of gaps to a fixed cell."""
    k, n = gaps.shape
    rows, columns, all_ = gaps.mean(axis=1), gaps.mean(axis=0), gaps.mean()
    rest = ((gaps - rows[:, None] - columns + all_) ** 2).sum() / ((k - 1) * (n - 1))
    seeds = max(rows.var(ddof=1) - rest / n, 0.0)
    return seeds, max(columns.var(ddof=1) - rest / k, 0.0), rest


@pytest.mark.parametrize("turned", [False, True])
def test_examples_against_a_fixed_cell_are_those_with_the_seeds_of_the_other(turned):
    scores, k, n = drawn(5, 400), 5, 400
    fixed = np.random.default_rng(4).normal(0.42, 0.4, (1, n))
    cells = (Cell(scores), Cell(fixed, fixed=True))
    found = needed(*(cells[::-1] if turned else cells))
    seeds, examples, rest = components(scores - fixed)

    def power(count: int) -> float:
        shift = abs(scores.mean() - fixed.mean()) / np.sqrt(seeds / k + examples / count + rest / (k * count))
        critical = t.ppf(0.975, k - 1)
        return nct.sf(critical, k - 1, shift) + nct.cdf(-critical, k - 1, shift)

    least = next(count for count in range(n, 100_000) if power(count) >= 0.8)
    assert least > n
    assert found.examples
    assert least <= found.examples <= 1.05 * least + 1


def test_of_two_fixed_cells_only_examples_tell():
    scores = np.random.default_rng(5).normal(0, 0.5, (2, 300))
    scores += np.array([[0.04], [0.0]]) - scores.mean(axis=1, keepdims=True)
    found = needed(*(Cell(row[None], fixed=True) for row in scores))
    effect = 0.04 / (scores[0] - scores[1]).std(ddof=1)
    least = TTestPower().solve_power(effect, power=0.8, alpha=0.05)
    assert found.seeds is None
    assert found.examples
    assert least <= found.examples <= 1.05 * least + 1
