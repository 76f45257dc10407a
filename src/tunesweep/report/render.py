"""One comparison table in five forms: terminal, Markdown, CSV, LaTeX, HTML."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesweep.report.columns import DASH, Column
from tunesweep.report.fields import one_line
from tunesweep.report.garbage import uncollected
from tunesweep.report.markdown import frame, markdown, sections
from tunesweep.report.rows import Row, Scope, program, select
from tunesweep.report.scores import reader
from tunesweep.report.studies import per_class
from tunesweep.report.table import Block, Table, table
from tunesweep.report.tuning import curve_table
from tunesweep.search.summary import summary
from tunesweep.store import Store, write

if TYPE_CHECKING:
    from rich.console import Console

NUMBER = 4  # columns that the number of a row takes where a table is in parts
PLAIN_WIDTH = 100  # of a log or a pipe, which has no width of its own
MOST = 80  # characters of the conditions in the name of a file
PAIR, LAST = re.compile(r"\w+=\w+", re.ASCII), re.compile(r"\w+=\w+(,\w+)?", re.ASCII)
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for the start of one
# Said once above the table instead of in every row, in this order, where a terminal is too narrow.
LIFTED = ("executor", "model", "outcome", "alpha", "r")


def report(
    store: Store, scope: Scope | str, console: Console | None = None, plots: bool = False
) -> list[Path]:
    """Print the table of a scope (a string: of that sweep), and write it as Markdown, CSV, LaTeX and HTML.

    `plots` are pictures for papers, in a folder beside these files.
    """
    console = console or terminal()
    scope = Scope(scope) if isinstance(scope, str) else scope
    result = build(store, scope)
    show(result, console)
    paths = save(store, result, scope)
    console.print("Written:", ", ".join(str(path) for path in paths), markup=False, soft_wrap=True)
    page = next(path for path in paths if path.suffix == ".html")
    question = shlex.join([program(), "recommend", *scope.words(result.name, store)])
    hint = f"Next: open {page}, or ask `{question}` which row is enough."
    if any(row["score"] is not None for block in result.blocks for row in block.rows):
        console.print(hint, markup=False, highlight=False, soft_wrap=True)
    if plots:
        paths += _plots(store, result, scope, console)
    return paths


def _plots(store: Store, result: Table, scope: Scope, console: Console) -> list[Path]:
    from tunesweep.report.plots import save

    folder = _base(store, result, scope)
    paths = save(store, result, folder)
    console.print(f"Plots: {len(paths)} files in {folder}", markup=False, soft_wrap=True)
    return paths


def build(store: Store, scope: Scope) -> Table:
    """Read the store and return the table of a scope."""
    with uncollected():
        return _build(store, scope)


def _build(store: Store, scope: Scope) -> Table:
    name, rows, sweep = select(store, scope)
    options = sweep.get("report") or {}
    result = table(
        name,
        rows,
        duplicates=int(sweep.get("duplicates") or 0),
        problems=store.problems,
        wanted=options.get("columns") or (),
        tuned=options.get("tuning") or (),
        within=options.get("within"),
        declared=[*(options.get("factors") or ()), *_swept(sweep.get("command") or ())],
        factors=options.get("factors") or (),
        read=reader(store),
    )
    notes = [*map(one_line, summary(sweep, store)), *result.notes]
    return replace(result, notes=notes, classes=_classes(store, rows, sweep))


def _classes(store: Store, rows: Iterable[Row], sweep: Mapping[str, Any]) -> str:
    """Return a report per class for each run, where the sweep wants one."""
    if not (sweep.get("report") or {}).get("per_class"):
        return ""
    records = (store.get(row["run_id"]) for row in rows)
    return per_class((record for record in records if record is not None), sweep)


def _swept(command: Iterable[str]) -> list[str]:
    """Return the keys that a command names: who gives several values to one knows that rows differ in it."""
    return [word.lstrip("+~").partition("=")[0] for word in command if "=" in word]


def save(store: Store, result: Table, scope: Scope) -> list[Path]:
    """Write every form; a narrowed table has a name of its own and leaves the whole one alone."""
    from tunesweep.report.html.page import page

    base = _base(store, result, scope)
    forms: dict[str, Callable[[Table], str]] = {
        ".md": markdown,
        ".csv": csv,
        ".tex": latex,
        ".html": lambda table: page(store, table),
    }
    for suffix, form in forms.items():
        write(base.with_suffix(suffix), form(result))
    return [base.with_suffix(suffix) for suffix in forms]


def _base(store: Store, result: Table, scope: Scope) -> Path:
    return store.path("reports", f"{result.name}-{_narrowed(scope.where)}" if scope.where else result.name)


def _narrowed(where: Sequence[str]) -> str:
    """Return what conditions are called in the name of a file; others are never called the same.

    Pairs, the last perhaps with a second value, can be read back from a-b-c. What is shortened, or could
    stand for other conditions as well, ends in a digest.
    """
    *pairs, last = where
    short = re.sub(r"[^0-9A-Za-z_-]+", "-", "-".join(where))
    if len(short) <= MOST and all(map(PAIR.fullmatch, pairs)) and LAST.fullmatch(last):
        return short
    digest = hashlib.sha256("\0".join(where).encode()).hexdigest()
    return f"{short[:MOST].strip('-')}-{digest[:8]}"


def raw_rows(result: Table) -> list[dict[str, Any]]:
    """Return all columns of all rows as unrounded values, with the number and title of their block."""
    return [
        {"block": index, "title": block.title} | row.raw
        for index, block in enumerate(result.blocks, 1)
        for row in block.runs
    ]


def csv(result: Table) -> str:
    """Return all rows as one CSV; a missing number is an empty cell."""
    import pandas as pd

    rows = [{key: _inert(value) for key, value in row.items()} for row in raw_rows(result)]
    # As objects: pandas would turn whole numbers beside a missing one into 8.0.
    return str(pd.DataFrame(rows, dtype=object).to_csv(index=False, lineterminator="\n"))


def _inert(value: Any) -> Any:
    """Keep a spreadsheet from carrying out a text as a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def markdown_blocks(store: Store, scope: Scope) -> str:
    """Return the tables of a scope as sections of a page."""
    return sections(build(store, scope))


def latex(result: Table) -> str:
    """Return a booktabs table per block, ready for \\input; titles and notes are comments."""
    notes = [f"% {note}" for note in result.notes]
    return "\n".join(["% Needs \\usepackage{booktabs}", *notes, *map(_tabular, result.blocks)])


def _tabular(block: Block) -> str:
    style = frame(block, str).style.hide(axis="index")
    style = style.format(escape="latex").format_index(escape="latex", axis="columns")
    align = "".join("r" if column.numeric else "l" for column in block.columns)
    comments = [f"% {line}" for line in (block.title, *block.notes)]
    return "\n".join([*comments, str(style.to_latex(hrules=True, column_format=align))])


def terminal() -> Console:
    """Return a console on stdout that never fails for a character the terminal lacks."""
    from rich.console import Console

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    known = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(width=None if known else PLAIN_WIDTH)


def show(result: Table, console: Console) -> None:
    """Print every block with its notes."""
    for block in result.blocks:
        lifted, parts = layout(block, console.width)
        _print(console, f"\n{' · '.join([block.title, *lifted])}", style="bold")
        for part in parts:
            _grid(block.rows, part, console, numbered=len(parts) > 1)
        for note in block.notes:
            _print(console, f"* {note}")
        _curves(block, console)
    for note in result.notes:
        _print(console, f"* {note}")


def _curves(block: Block, console: Console) -> None:
    """Print what is expected of fewer trials, where something was tuned."""
    from rich import box
    from rich.table import Table as Grid
    from rich.text import Text

    header, lines = curve_table(block.trials)
    if lines:
        grid = Grid(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        for place, name in enumerate(header):
            grid.add_column(name, justify="right" if place else "left")
        for line in lines:
            grid.add_row(*map(Text, line))
        console.print(grid)


def _print(console: Console, text: str, style: str | None = None) -> None:
    console.print(text, style=style, markup=False, highlight=False, emoji=False)


def layout(block: Block, width: int) -> tuple[list[str], list[list[Column]]]:
    """Return what is said above a table, and the columns of its parts: several where one is too wide."""
    lifted, shown = [], list(block.columns)
    for key in LIFTED:
        cells = {(c.header, c.cell(row)) for c in shown if c.key == key for row in block.rows}
        if len(cells) == 1 and _width(block, shown) > width:
            lifted += [f"{header} {cell}" for header, cell in cells if cell != DASH]
            shown = [column for column in shown if column.key != key]
    if _width(block, shown) <= width:
        return lifted, [shown]
    keys = [column.key for column in shown]
    cut = keys.index("adapter") if "adapter" in keys else 0
    return lifted, [part for half in (shown[:cut], shown[cut:]) for part in _packed(block, half, width)]


def _packed(block: Block, columns: list[Column], width: int) -> list[list[Column]]:
    """Return columns in as few parts as fit, beside the number of the row."""
    parts: list[list[Column]] = []
    for column in columns:
        if not parts or _width(block, [*parts[-1], column]) > width - NUMBER:
            parts.append([])
        parts[-1].append(column)
    return parts


def _width(block: Block, columns: list[Column]) -> int:
    from rich.cells import cell_len

    texts = ([*_head(column).split("\n"), *(column.cell(row) for row in block.rows)] for column in columns)
    return sum(max(cell_len(text) for text in column) + 1 for column in texts) - 1


def _head(column: Column) -> str:
    return column.short or column.header


def _grid(rows: list[Row], columns: list[Column], console: Console, numbered: bool) -> None:
    from rich import box
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    if numbered:
        grid.add_column("#", justify="right", no_wrap=True)
    for column in columns:
        grid.add_column(_head(column), justify="right" if column.numeric else "left", no_wrap=column.numeric)
    for number, row in enumerate(rows, 1):
        cells = [Text(column.cell(row)) for column in columns]
        style = "red" if row["status"] == "failed" else None
        grid.add_row(*([Text(str(number))] if numbered else []), *cells, style=style)
    console.print(grid)
