"""A running sweep in a terminal: how far it is, the table so far, the last failure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tunesweep.report.columns import DASH, score_text
from tunesweep.report.rows import Row
from tunesweep.report.scores import SCALES
from tunesweep.report.series import name_of, without_common
from tunesweep.report.state import RUNNING, State
from tunesweep.report.table import Block, Table

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

AROUND = 9  # lines that are no rows of a table
FEWEST = 3  # rows of a table that are shown in the lowest window
NAMED = 3  # running points
BAR = 60  # characters


def view(state: State, table: Table, height: int, width: int) -> Group:
    """Return what fits into a window: tables are cut to their best rows."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [Text(headline(state), style="bold"), _bar(state, min(width, BAR))]
    parts += [Text(line, overflow="ellipsis", no_wrap=True) for line in _running(state)]
    scored = [(block, best(block)) for block in table.blocks]
    scored = [(block, rows) for block, rows in scored if rows]
    room = max(FEWEST, (height - AROUND) // max(1, len(scored)) - 3)
    for block, rows in scored:
        parts += [Text(block.title, overflow="ellipsis", no_wrap=True, style="bold"), grid(rows[:room])]
        if len(rows) > room:
            parts.append(Text(f"and {len(rows) - room} more rows"))
    if state.failure:
        parts.append(Text(f"Last failure: {state.failure}", style="red"))
    return Group(*parts)


def _bar(state: State, width: int) -> RenderableType:
    from rich.progress_bar import ProgressBar
    from rich.table import Table as Grid

    bar = Grid.grid()  # a bar alone ends without a line break
    bar.add_row(ProgressBar(total=max(1, state.total), completed=state.ended, width=width))
    return bar


def headline(state: State) -> str:
    """Say in a line how far the sweep is."""
    so_far = "" if state.minutes is None else f" · {minutes(state.minutes)} so far"
    if state.complete:
        return f"Sweep {state.sweep_id} is complete: {state.counts}"
    if state.closed:
        return f"Sweep {state.sweep_id} has been stopped: {state.counts}"
    left = "" if state.left is None else f" · about {minutes(state.left)} left"
    return f"Sweep {state.sweep_id}: {state.ended} of {state.total} ended ({state.counts}){so_far}{left}"


def minutes(value: float) -> str:
    """Write a time as people say it."""
    if value < 1:
        return f"{60 * value:.0f} s"
    return f"{value:.0f} min" if value < 120 else f"{value / 60:.1f} h"


def _running(state: State) -> Iterator[str]:
    names = [state.names[run_id] for run_id, kind in state.points.items() if kind == RUNNING]
    if names:
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        yield f"Running: {'; '.join(names[:NAMED])}{more}"


def best(block: Block) -> list[Row]:
    """Return the rows of a block that have a score, the best first."""
    rows = [row for row in block.rows if row["score"] is not None]
    scale = SCALES.get(str(rows[0]["metric"])) if rows else None
    return sorted(rows, key=lambda row: row["score"], reverse=scale is None or scale.higher)


def grid(rows: Sequence[Row]) -> RenderableType:
    """Return the table of these rows: every number whole, the name as long as there is room."""
    from rich import box
    from rich.table import Table as Grid
    from rich.text import Text

    found = Grid(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    found.add_column("row", ratio=1)  # without no_wrap it is what rich shortens first
    for header in (str(rows[0]["metric"]), "95 %", "tied", "seeds", "min"):
        found.add_column(header, justify="right", no_wrap=True)
    for row, name in zip(rows, without_common([name_of(row) for row in rows]), strict=True):
        said = Text(name or str(row["method"]), overflow="ellipsis", no_wrap=True)
        found.add_row(said, *map(Text, _cells(row)))
    return found


def _cells(row: Row) -> tuple[str, ...]:
    ends = (row["low"], row["high"])
    interval = DASH if None in ends else "–".join(map(score_text, ends))
    spent = DASH if row["minutes"] is None else minutes(row["minutes"])
    return score_text(row["score"]), interval, str(row["tied"] or DASH), str(row["seeds"] or 1), spent
