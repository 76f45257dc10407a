"""The interval of a share."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist


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
