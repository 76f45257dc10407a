"""The page of a sweep that is still running: the report's own, written again as results come in."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from tunesweep.report import render
from tunesweep.report.html.page import Running, page
from tunesweep.report.rows import Scope
from tunesweep.report.state import Observer, State
from tunesweep.store import Store, write

LEAST_S = 10.0  # between two pages
SHARE = 30  # a page takes at most so small a part of the time: the sweep needs the processor


class Pace:
    """Says when something that costs time may be done again."""

    def __init__(self, least_s: float, share: int) -> None:
        self.wait_s, self._least_s, self._share = least_s, least_s, share
        self._began = self._ended = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether enough time has passed since the end of the last time, or since this was made."""
        return time.monotonic() - self._ended >= self.wait_s

    def __enter__(self) -> Pace:
        self._began = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = time.monotonic()
        self.wait_s = max(self._least_s, self._share * (self._ended - self._began))


class LivePage:
    """Keeps the page of one sweep fresh; what to do between two looks is the caller's.

    The page of a sweep that is over is its command's to write, and stays as that left it.
    """

    def __init__(self, root: Path, sweep_id: str) -> None:
        self.root, self.sweep_id = root, sweep_id
        self.pace = Pace(LEAST_S, SHARE)
        self._observer = Observer(Store(root), sweep_id)
        self._mark: tuple[float, ...] = ()

    @property
    def path(self) -> Path:
        """Where the page lies."""
        return self._observer.store.path("reports", self.sweep_id).with_suffix(".html")

    def refresh(self) -> bool:
        """Write the page if something has changed since the last time and it is due; say whether it was."""
        mark = self._observer.mark()
        if not self.pace.due or mark == self._mark:
            return False
        self._mark = mark
        with self.pace:
            return self._write(self._observer.state())

    def _write(self, state: State) -> bool:
        if state.over:
            return False
        store = Store(self.root)  # its problems are those of this look
        table = render.build(store, Scope(self.sweep_id))
        text = page(store, table, Running(_banner(state), round(self.pace.wait_s)))
        if self._observer.state().over:  # meanwhile
            return False
        write(self.path, text)
        return True


def _banner(state: State) -> str:
    now = f"{datetime.now(UTC):%H:%M:%S} UTC"
    return f"Running: {state.ended} of {state.total} points have ended ({state.counts}), as of {now}."
