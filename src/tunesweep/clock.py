"""Where a point's minutes go: wall seconds by kind of work, for the record and for `make bench`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Protocol, TypeVar


class Clock:
    """Adds up wall seconds by name; a part inside a part is counted in both."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the time between enter and exit under a name."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - began)

    def add(self, name: str, seconds: float) -> None:
        """Count what somebody else measured."""
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds


class Clocked(Protocol):
    """Whatever carries a clock."""

    clock: Clock


Place = TypeVar("Place", bound=Clocked)


def timed(stage: Callable[[Place], None]) -> Callable[[Place], None]:
    """Let a stage's seconds be counted under its own name."""

    @wraps(stage)
    def run(place: Place) -> None:
        with place.clock.part(stage.__name__):
            stage(place)

    return run
