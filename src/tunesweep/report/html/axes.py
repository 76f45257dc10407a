"""From values to places in a picture, and where an axis is marked. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
MARGIN = 0.05  # of the range, at both ends
SAME = 1e-9  # a share by which values differ that have one logarithm, up to rounding


@dataclass(frozen=True)
class Scale:
    """Values from low to high on pixels from start to end; of logarithms where `log` says so."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Return the pixel of a value."""
        turn = math.log if self.log else float
        low, high = turn(self.low), turn(self.high)
        return self.start + (turn(value) - low) / (high - low) * (self.end - self.start)

    def ticks(self, wanted: int = 6) -> list[float]:
        """Return about as many round values as wanted, all of them on the axis."""
        return (log_ticks if self.log else ticks)(self.low, self.high, wanted)


def scale(values: Sequence[float], start: float, end: float, log: bool = False) -> Scale:
    """Return the scale that holds all values with a margin; one value alone is in the middle."""
    low, high = min(values), max(values)
    if log:
        factor = (high / low) ** MARGIN if high > low * (1 + SAME) else 2.0
        return Scale(low / factor, high * factor, start, end, log)
    margin = (high - low) * MARGIN or abs(high) * MARGIN or 1.0
    return Scale(low - margin, high + margin, start, end)


def ticks(low: float, high: float, wanted: int = 6) -> list[float]:
    """Return multiples of 1, 2, 2.5 or 5 times a power of ten."""
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(each * power for each in STEPS if each * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(place * step, 12) for place in range(first, last + 1)]


def log_ticks(low: float, high: float, wanted: int = 6) -> list[float]:
    """Return powers of ten and some multiples of them, as many as have room; else evenly spaced values."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for parts in ((1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        found = [part * 10.0**power for power in range(first, last + 1) for part in parts]
        found = [value for value in found if low <= value <= high]
        if len(found) <= wanted + 2:
            break
    every = math.ceil(len(found) / (wanted + 2))
    return found[::every] if len(found) > 1 else ticks(low, high, wanted)
