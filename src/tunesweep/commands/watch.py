"""`tunesweep watch`: a running sweep in the terminal, and its page; the store is only read."""

from __future__ import annotations

import signal
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from tunesweep.commands.shared import MULTIRUN, JsonOption, StoreOption, emit, one_sentence

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from tunesweep.report.live import LivePage
    from tunesweep.report.state import State
    from tunesweep.report.table import Table

EVERY_S = 2.0
ENDLESS = 10_000  # lines of what is no window
SHARE = 10  # looks, and tables, take at most so small a part of the time
QUIET = 3  # looks in a row at which a sweep that is not complete must seem over: a point may just begin


def watch(
    sweep: Annotated[str | None, typer.Argument(help="Id of a sweep; the last one if absent.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Print it once, and end.")] = False,
    html: Annotated[
        bool, typer.Option("--html", help="Write the page of the report anew as results come in, too.")
    ] = False,
    store: StoreOption = MULTIRUN,
    as_json: JsonOption = False,
) -> None:
    """Show how far a sweep is, with its table so far, until it is over; Ctrl-C ends the view alone."""
    from tunesweep.report.render import terminal

    signal.signal(signal.SIGTERM, _interrupt)  # so that the terminal gets its cursor back
    with one_sentence():
        look = Look(store, sweep, terminal(), html)
        try:
            if as_json:
                state = look.state()
                emit(asdict(state) | {"complete": state.complete})
            elif once:
                look.print(look.state())
            elif look.console.is_terminal:
                look.draw()
            else:
                look.tell()
        except KeyboardInterrupt:
            pass


class Look:
    """Looks at a sweep; its table is made anew when something has changed, and not too often."""

    def __init__(self, root: Path, sweep: str | None, console: Console, html: bool) -> None:
        from tunesweep.report.live import LivePage, Pace
        from tunesweep.report.rows import find_sweep
        from tunesweep.report.state import Observer
        from tunesweep.store import Store

        sweep_id, _ = find_sweep(Store(root), sweep)
        self.root, self.console = root, console
        self.observer, self.pace = Observer(Store(root), sweep_id), Pace(EVERY_S, SHARE)
        self.live: LivePage | None = LivePage(root, sweep_id) if html else None
        self._table: Table | None = None
        self._mark: tuple[float, ...] = ()
        self._quiet, self.rest_s = 0, EVERY_S

    def state(self) -> State:
        """Look, and see to the page."""
        began = time.perf_counter()
        found = self.observer.state()
        self.rest_s = max(EVERY_S, SHARE * (time.perf_counter() - began))
        self._quiet = self._quiet + 1 if found.closed else 0
        if self.live is not None:
            self.live.refresh()
        return found

    def over(self, state: State) -> bool:
        """Whether there is nothing more to wait for."""
        return state.complete or self._quiet >= QUIET

    def draw(self) -> None:
        """Draw until the sweep is over."""
        from rich.live import Live

        with Live(console=self.console, auto_refresh=False, vertical_overflow="crop") as live:
            while True:
                state = self.state()
                live.update(self._view(state, fresh=self.over(state)), refresh=True)
                if self.over(state):
                    return
                time.sleep(self.rest_s)

    def tell(self) -> None:
        """Where nothing can be drawn, print a line when something changes, and the table at the end."""
        said = ""
        while not self.over(state := self.state()):
            if state.counts != said:
                said = state.counts
                self._say(state)
            time.sleep(self.rest_s)
        self.print(state)

    def print(self, state: State) -> None:
        """Print everything."""
        self.console.print(self._view(state, fresh=True))

    def _say(self, state: State) -> None:
        from tunesweep.report.watch import headline

        self.console.print(headline(state), markup=False, highlight=False, soft_wrap=True)

    def _view(self, state: State, fresh: bool) -> RenderableType:
        from tunesweep.report.watch import view

        height = self.console.height if self.console.is_terminal else ENDLESS
        return view(state, self._so_far(fresh), height, self.console.width)

    def _so_far(self, fresh: bool) -> Table:
        """Return the table, made anew where something has changed and it is due, or it must be `fresh`."""
        from tunesweep.report import render
        from tunesweep.report.rows import Scope
        from tunesweep.store import Store

        mark = self.observer.mark()
        if self._table is None or (mark != self._mark and (fresh or self.pace.due)):
            with self.pace:
                self._table = render.build(Store(self.root), Scope(self.observer.sweep_id))
            self._mark = mark
        return self._table


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
