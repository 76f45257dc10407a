"""What several groups check alike."""

from __future__ import annotations

import math

from tunesweep.errors import BadConfig


def positive(owner: str, **values: float | None) -> None:
    """Refuse numbers that are not above zero and finite; null is not a number."""
    for key, value in values.items():
        if value is not None and not 0 < value < math.inf:
            raise BadConfig(f"{owner}.{key}={value} must be above zero and finite")


def fraction(owner: str, **values: float) -> None:
    """Refuse numbers outside of 0 (included) to 1 (excluded)."""
    for key, value in values.items():
        if not 0 <= value < 1:
            raise BadConfig(f"{owner}.{key}={value} must be at least 0 and below 1")
