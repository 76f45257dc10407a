"""Is a difference real: intervals and paired tests, as pure functions (R20)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist


@dataclass(frozen=True)
class Paired:
    """Two rows on the same examples: `b` only the first got right, `c` only the second."""

    b: int
    c: int
    p: float
    difference: float


def wilson(k: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of k right among n; n of zero says nothing: (0, 1).

    Source: E. B. Wilson, JASA 22 (1927). Written out, because scipy.stats takes a second to import.
    """
    if not 0 <= k <= n:
        raise ValueError(f"k={k} must be between 0 and n={n}")
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + level) / 2)
    p, spread = k / n, z * z / n
    centre = (p + spread / 2) / (1 + spread)
    half = sqrt(p * (1 - p) * spread + spread * spread / 4) / (1 + spread)
    # Rounding would otherwise leave 1e-17 where the formula gives exactly nought or one.
    return (0.0 if k == 0 else centre - half), (1.0 if k == n else centre + half)


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


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number (S. Holm 1979), in the order given."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
