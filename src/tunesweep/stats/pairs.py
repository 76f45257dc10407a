"""Do these trained models differ: two runs on the same examples. The seeds are what they were."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray
Statistic = Callable[..., Any]  # of scores [..., examples], reduced over `axis`
DRAWS = 9999


@dataclass(frozen=True)
class Paired:
    """Two rows on the same examples: `b` only the first got right, `c` only the second."""

    b: int
    c: int
    p: float
    difference: float


def mcnemar(correct_a: Sequence[bool], correct_b: Sequence[bool]) -> Paired:
    """Compare two rows example by example, with the exact two-sided binomial p-value.

    It answers whether these trained models differ; whether the methods do needs several seeds.
    """
    from scipy.stats import binomtest

    pairs = list(zip(correct_a, correct_b, strict=True))
    if not pairs:
        raise ValueError("mcnemar needs at least one example that both rows were scored on")
    b = sum(bool(first) and not second for first, second in pairs)
    c = sum(bool(second) and not first for first, second in pairs)
    p = float(binomtest(b, b + c).pvalue) if b + c else 1.0
    return Paired(b, c, p, (b - c) / len(pairs))


def permutation(first: Array, second: Array, statistic: Statistic = np.mean, draws: int = DRAWS) -> float:
    """Return the two-sided p-value of a difference in a metric: which row a score came from is drawn anew.

    `first`, `second`: scores [examples] of the same examples; `statistic(scores, axis)` is the metric. All
    exchanges are tried where there are at most `draws`, else that many are drawn, always the same ones.
    Of one example both exchanges are as far apart.
    """
    from scipy.stats import permutation_test

    if len(first) < 2 or np.array_equal(first, second):
        return 1.0

    def gap(a: Array, b: Array, axis: int = -1) -> Any:
        return statistic(a, axis=axis) - statistic(b, axis=axis)

    found = permutation_test(
        (np.asarray(first, float), np.asarray(second, float)),
        gap,
        permutation_type="samples",
        vectorized=True,
        n_resamples=draws,
        batch=max(1, 2_000_000 // len(first)),
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def sign_flips(differences: Array, draws: int = DRAWS) -> list[float]:
    """Return the two-sided p-values of many mean differences [pairs, examples], all with the same draws.

    What `permutation` does to means, in one product of matrices; the difference itself counts as a draw, so
    that no p-value is nought (B. Phipson and G. Smyth, SAGMB 9, 2010).
    """
    rng, n = np.random.default_rng(0), differences.shape[1]
    observed = np.abs(differences.sum(axis=1))
    as_far = np.zeros(len(differences), int)
    for size in _batches(draws, n):
        signs = rng.integers(0, 2, (n, size), dtype=np.int8) * 2.0 - 1.0
        as_far += (np.abs(differences @ signs) >= observed[:, None] * (1 - 1e-9)).sum(axis=1)
    return [float(p) for p in (as_far + 1) / (draws + 1)]


def _batches(draws: int, n: int) -> list[int]:
    """Cut draws into parts of at most sixteen million signs."""
    size = max(1, 16_000_000 // n)
    return [min(size, draws - start) for start in range(0, draws, size)]


def bootstrap(
    first: Array, second: Array, statistic: Statistic = np.mean, draws: int = DRAWS, level: float = 0.95
) -> tuple[float, float]:
    """Return the interval of a difference in a metric over examples: percentiles of a paired bootstrap.

    Arguments as of `permutation`.
    """
    from scipy.stats import bootstrap as resampled

    def gap(a: Array, b: Array, axis: int = -1) -> Any:
        return statistic(a, axis=axis) - statistic(b, axis=axis)

    found = resampled(
        (np.asarray(first, float), np.asarray(second, float)),
        gap,
        paired=True,
        vectorized=True,
        n_resamples=draws,
        batch=max(1, 2_000_000 // len(first)),
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)
