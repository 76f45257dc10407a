"""When training is to end before its time: a signal, or the clock."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tunesweep.errors import Interrupted, TimedOut, TunesweepError

GRACE_S = 60  # how long a process over its time may take to stop by itself, before it is killed
SIGNALS = (signal.SIGINT, signal.SIGTERM)  # Ctrl-C, and a batch system's time limit
SAID = "stopping after the current step, with a checkpoint; once more stops at once"


class Stop:
    """Says between two steps whether training should end there.

    The first signal is remembered, a second one of its kind ends at once. `minutes`, if any, count from
    `began` on the clock of `time.perf_counter`.
    """

    aloud = True  # a worker leaves it to whoever asked it to stop

    def __init__(self, minutes: float | None, began: float) -> None:
        self.minutes, self._began = minutes, began
        self._signals: set[int] = set()

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Listen within; afterwards signals mean what they did before."""
        before = {number: signal.getsignal(number) for number in SIGNALS}
        self.listen()
        try:
            yield
        finally:
            for number, handler in before.items():
                if threading.current_thread() is threading.main_thread():
                    signal.signal(number, handler)

    def listen(self) -> None:
        """Be called by the signals; only the main thread can say so."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, self)

    def __call__(self, number: int, _: Any) -> None:
        """Remember a signal."""
        if number in self._signals:
            raise KeyboardInterrupt
        self._signals.add(number)
        if self.aloud:
            with suppress(OSError):
                os.write(2, f"\n{SAID}\n".encode())  # print is not safe within a signal's handler

    @property
    def wanted(self) -> bool:
        """Whether training should end here."""
        return bool(self._signals) or self._late

    @property
    def _late(self) -> bool:
        return self.minutes is not None and time.perf_counter() - self._began > self.minutes * 60

    def error(self, where: str) -> TunesweepError:
        """Return what to raise; `where` says after which step, and what the same command does."""
        if self._signals:
            return Interrupted(f"stopped {where}")
        return TimedOut(f"it took longer than runtime.timeout_minutes={self.minutes}: stopped {where}")
