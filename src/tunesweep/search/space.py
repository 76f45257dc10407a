"""What a search goes through: one dimension for each key of the command that has several values. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from tunesweep.errors import BadConfig

DIGITS = 4  # of a number drawn from an interval: no result depends on more, and a table can show them


@dataclass(frozen=True)
class Choice:
    """A key with some values, in the words of the command; `ordered` where their distance means something."""

    key: str
    words: tuple[str, ...]
    ordered: bool = False

    def word(self, value: Any) -> str:
        """Return the override that sets a value."""
        return f"{self.key}={value}"

    def draw(self, random: Random) -> Any:
        """Return one value at random, each as likely as any other."""
        return random.choice(self.words)

    def holds(self, value: object) -> bool:
        """Whether a value is one of this dimension."""
        return value in self.words

    @property
    def ends(self) -> tuple[Any, Any]:
        """Return the first value and the last."""
        return self.words[0], self.words[-1]

    def describe(self) -> str:
        """Return the dimension in words."""
        return f"{self.key} of {', '.join(self.words)}"


@dataclass(frozen=True)
class Interval:
    """A key with all numbers, or all whole numbers, between two, both included."""

    key: str
    low: float
    high: float
    log: bool = False  # as likely between 1 and 10 as between 10 and 100
    whole: bool = False

    def __post_init__(self) -> None:
        text = f"{self.key}={'int(' if self.whole else ''}interval({self.low:g},{self.high:g})"
        if not -math.inf < self.low < self.high < math.inf:
            raise BadConfig(f"{text} must go from a number to a greater one, both finite")
        if self.log and self.low <= 0:
            raise BadConfig(f"{text} with tag log must begin above zero")

    def word(self, value: Any) -> str:
        """Return the override that sets a value."""
        return f"{self.key}={value}"

    def draw(self, random: Random) -> Any:
        """Return one number at random; whole numbers have half a unit around them, as any other."""
        low, high = (self.low - 0.5, self.high + 0.5) if self.whole else (self.low, self.high)
        if self.log:
            return self.settle(math.exp(random.uniform(math.log(low), math.log(high))))
        return self.settle(random.uniform(low, high))

    def settle(self, value: float) -> float | int:
        """Return a number of the interval in few digits."""
        inside = min(max(value, self.low), self.high)
        if self.whole:
            return round(inside)
        return min(max(float(f"{inside:.{DIGITS}g}"), self.low), self.high)

    def holds(self, value: object) -> bool:
        """Whether a value is one of this dimension."""
        kind = int if self.whole else (int, float)
        return isinstance(value, kind) and not isinstance(value, bool) and self.low <= value <= self.high

    @property
    def ends(self) -> tuple[Any, Any]:
        """Return the lowest value and the highest."""
        return self.settle(self.low), self.settle(self.high)

    def describe(self) -> str:
        """Return the dimension in words."""
        kind = ", ".join(text for text, holds in (("whole", self.whole), ("log", self.log)) if holds)
        return f"{self.key} from {self.low:g} to {self.high:g}{f' ({kind})' if kind else ''}"


Dimension = Choice | Interval
Space = tuple[Dimension, ...]
Values = Mapping[str, Any]  # of each dimension, by its key


def words(space: Space, values: Values) -> tuple[str, ...]:
    """Return a place of the space as overrides."""
    return tuple(dimension.word(values[dimension.key]) for dimension in space)


def holds(space: Space, values: Values) -> bool:
    """Whether these are values of every dimension, and of no other."""
    return set(values) == {d.key for d in space} and all(d.holds(values[d.key]) for d in space)


def draws(space: Space, seed: int, count: int) -> list[dict[str, Any]]:
    """Return places at random, none twice; fewer than asked for where the space has no more.

    Each depends on the seed and its number alone, so that more of them begin with the same.
    """
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for number in range(100 * count):
        random = Random(f"{seed}:{number}")
        values = {dimension.key: dimension.draw(random) for dimension in space}
        found.setdefault(words(space, values), values)
        if len(found) == count:
            break
    return list(found.values())
