"""A thread beside a running sweep that keeps its page fresh; it costs a page, never a result."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from tunesweep.sweep.plan import Plan

if TYPE_CHECKING:
    from rich.console import Console

POLL_S = 2.0
IN_PROCESS = "in process"


def trains_here() -> bool:
    """Whether this process has begun to train: neither planning nor reports load torch."""
    return "torch" in sys.modules


class Live:
    """Begins with `start`, which may be called again, and ends with `stop`, before the last page is written.

    Points that train in this process are measured in it: there is no thread beside them, and no page.
    """

    def __init__(self, plan: Plan, console: Console) -> None:
        self.plan, self.console = plan, console
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Say where the page will be, and begin, where there is something to wait for."""
        if self._thread is not None or not self._wanted():
            return
        from tunesweep.report.live import LivePage

        page = LivePage(self.plan.store.root, self.plan.sweep_id)
        self._say(f"its page, while it runs: {page.path}")
        self._thread = threading.Thread(target=self._keep, args=(page.refresh,), daemon=True)
        self._thread.start()

    def _wanted(self) -> bool:
        runtimes = [point.config.runtime for point in self.plan.todo]
        beside = all(runtime.point.executor != IN_PROCESS for runtime in runtimes)
        return bool(runtimes) and beside and all(runtime.progress for runtime in runtimes)

    def _keep(self, refresh: Callable[[], object]) -> None:
        told = False
        while not self._stopped.wait(POLL_S):
            if trains_here():  # after all, as joblib does that was given one job
                self._say("points train in this process: tunesweep watch --html writes the page meanwhile")
                return
            try:
                refresh()
            except Exception as error:  # a full disk, a record that no table can be made of: results go on
                if not told:
                    self._say(f"the page cannot be written while the sweep runs ({error}); the sweep goes on")
                told = True

    def _say(self, sentence: str) -> None:
        self.console.print(sentence, soft_wrap=True, markup=False)

    def stop(self) -> None:
        """End, once a page that is being made is written."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
