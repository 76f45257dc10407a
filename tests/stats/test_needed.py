from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.power import TTestIndPower

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


def test_nothing_tells_equal_cells_apart():
    assert needed(seeded(0.8, 0.01, 3), seeded(0.8, 0.01, 3)) == Needed(None, None)
