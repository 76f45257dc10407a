"""The report as one HTML file that needs nothing else: styles, scripts, pictures and data are in it."""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.resources import files
from textwrap import wrap
from typing import Any

from markupsafe import Markup

from tunesweep.record import RunRecord
from tunesweep.report.budget_curves import budget_curves
from tunesweep.report.columns import DASH, Column
from tunesweep.report.curves import curves
from tunesweep.report.epochs import training
from tunesweep.report.fronts import fronts
from tunesweep.report.html import details, svg
from tunesweep.report.html.disputed import Dispute, dispute
from tunesweep.report.html.texts import Library
from tunesweep.report.rows import Row
from tunesweep.report.series import Picture, Records, name_of, without_common
from tunesweep.report.table import Block, Table
from tunesweep.store import Store

ALL = "all"  # the name of a table of the whole store
MOST = 500  # rows of a block that has pictures and details
HEAD = 14  # characters in a line of a header
ALWAYS = ("score", "interval", "tied", "best", "outcome")  # columns that stay where all rows are alike
LINES = 2000  # rows of a table: more would make a page that opens slowly


@dataclass(frozen=True)
class Cell:
    """A cell of the table: its text, and what it is sorted by."""

    text: str
    key: str | None  # the number behind the text
    numeric: bool
    absent: bool


@dataclass(frozen=True)
class Run:
    """One run of a row: what it is called, how it ended, and the command that makes it again."""

    id: str
    name: str
    outcome: str
    command: str


@dataclass(frozen=True)
class Line:
    """A row of the table."""

    number: int
    cells: list[Cell]
    runs: list[Run]
    failed: bool


@dataclass(frozen=True)
class Tab:
    """A panel of a block: pictures, or one kind of detail."""

    key: str
    title: str
    kind: str = "pictures"
    pictures: tuple[Picture, ...] = ()

    @property
    def notes(self) -> list[str]:
        """Return what is said below its pictures, once each."""
        return list(dict.fromkeys(note for picture in self.pictures for note in picture.notes))

    @property
    def shared(self) -> bool:
        """Whether one legend explains all of its pictures."""
        first, *others = ([each.name for each in picture.series] for picture in self.pictures)
        return bool(others) and all(names == first for names in others)


@dataclass(frozen=True)
class Running:
    """What a page says of a sweep that is not over, and after how many seconds it reads itself anew."""

    banner: str
    seconds: int


@dataclass(frozen=True)
class Section:
    """A block of the report with all that is shown of it."""

    id: str
    title: str
    alike: str  # columns in which all rows are alike, which are said once
    columns: list[tuple[str, bool]]  # header, and whether it is of numbers
    lines: list[Line]
    notes: list[str]
    names: list[str]
    tabs: list[Tab]
    classes: list[dict[str, Any]]
    dispute: Dispute | None
    failures: list[details.Failure]
    provenance: list[details.Fact]


def page(store: Store, table: Table, running: Running | None = None) -> str:
    """Return the page of a table; while its sweep is running, without what takes long to read."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tunesweep.report.html", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["json"] = embedded
    script = _text("report.js")
    methods = list(dict.fromkeys(str(row["method"]) for block in table.blocks for row in block.rows))
    library = None if running else Library(store)
    sections = [
        _section(store, block, f"b{place}", methods, library) for place, block in enumerate(table.blocks, 1)
    ]
    return environment.get_template("report.html.j2").render(
        title="All runs" if table.name == ALL else f"Sweep {table.name}",
        running=running,
        notes=table.notes,
        sections=sections,
        outcomes=_outcomes(table),
        made=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        command=shlex.join(_command(store, table)),
        style=Markup(_text("report.css")),
        script=Markup(script),
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        svg=svg,
    )


def embedded(value: Any) -> Markup:
    """Return JSON that cannot end the script element that it stands in."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _text(name: str) -> str:
    return (files("tunesweep.report.html") / name).read_text(encoding="utf-8")


def _outcomes(table: Table) -> list[tuple[str, int]]:
    return Counter(str(run["status"]) for block in table.blocks for run in block.runs).most_common()


def _command(store: Store, table: Table) -> list[str]:
    """Return the command that made the runs, if they are those of one sweep."""
    sweep = store.get_sweep(table.name) or {}
    return [str(word) for word in sweep.get("command") or ()]


def _section(
    store: Store, block: Block, name: str, methods: Sequence[str], library: Library | None
) -> Section:
    small = len(block.rows) <= MOST
    rows, runs = (block.rows, block.runs) if small else ([], [])
    records = _records(store, runs)
    alike = [c for c in block.columns if c.key not in ALWAYS and _common(c, block.rows) is not None]
    shown = [column for column in block.columns if column not in alike]
    section = Section(
        id=name,
        title=block.title,
        alike=" · ".join(f"{column.header} {_common(column, block.rows)}" for column in alike),
        columns=[("\n".join(wrap(column.header, HEAD)), column.numeric) for column in shown],
        lines=[_line(store, shown, row, number) for number, row in enumerate(block.rows[:LINES], 1)],
        notes=[*block.notes, *_cut(len(block.rows))],
        names=without_common([name_of(row) for row in block.rows]),
        tabs=list(_pictures(block, records, methods)) if small else [],
        classes=details.classes(rows, records),
        dispute=_dispute(store, rows, records, library),
        failures=details.failures(runs, records),
        provenance=details.provenance(records.values()),
    )
    return replace(section, tabs=[*section.tabs, *_details(section)])


def _dispute(store: Store, rows: list[Row], records: Records, library: Library | None) -> Dispute | None:
    """Return what rows disagree on, with the texts where there is something to read them from."""
    found = dispute(store, rows)
    if found is None or library is None or not found.examples:
        return found
    first = rows[found.rows[0]]
    known = (records.get(run["run_id"]) for run in first.runs or (first,))
    return found.with_texts(library, next((record for record in known if record), None))


def _common(column: Column, rows: list[Row]) -> str | None:
    """Return what all rows with a score say in a column, if they agree and are several."""
    scored = [row for row in rows if row["score"] is not None]
    texts = {column.cell(row) for row in scored or rows}
    return texts.pop() if len(texts) == 1 and len(rows) > 1 else None


def _cut(rows: int) -> Iterator[str]:
    """Say what a block has too many rows for."""
    if rows > LINES:
        yield f"The first {LINES:,} of {rows:,} rows; the CSV beside this file has all."
    if rows > MOST:
        yield f"More than {MOST} rows have no pictures: narrow them with --where KEY=VALUE or --sweep ID."


def _records(store: Store, runs: list[Row]) -> dict[str, RunRecord]:
    found = {run["run_id"]: store.get(run["run_id"]) for run in runs}
    return {name: record for name, record in found.items() if record is not None}


def _pictures(block: Block, records: Records, methods: Sequence[str]) -> Iterator[Tab]:
    """Yield the pictures of a block under the headings by which a reader finds them."""
    if costs := tuple(fronts(block.verdict, methods)):
        yield Tab("cost", "Cost and quality", pictures=costs)
    for picture in curves(block.rows, records, methods):
        yield Tab(picture.key, picture.title, pictures=(picture,))
    for picture in budget_curves(block.trials, methods):
        yield Tab(picture.key, picture.title, pictures=(picture,))
    if learned := tuple(training(block.rows, records, methods)):
        yield Tab("training", "Training", pictures=learned)


def _details(section: Section) -> Iterator[Tab]:
    if section.classes:
        yield Tab("classes", "Classes", "classes")
    if section.dispute:
        yield Tab("dispute", "Disagreements", "dispute")
    if section.failures:
        yield Tab("failures", f"Failures ({len(section.failures)})", "failures")
    if section.provenance:
        yield Tab("provenance", "Provenance", "provenance")


def _line(store: Store, columns: list[Column], row: Row, number: int) -> Line:
    cells = [_cell(column, row) for column in columns]
    runs = [_run(store, run) for run in row.runs or (row,)]
    return Line(number, cells, runs, row["status"] == "failed")


def _cell(column: Column, row: Row) -> Cell:
    value, text = row[column.key], column.cell(row)
    first = value[0] if isinstance(value, tuple) else value
    number = isinstance(first, int | float) and not isinstance(first, bool)
    return Cell(text, repr(first) if number else None, column.numeric, text == DASH)


def _run(store: Store, run: Row) -> Run:
    words = ["tunesweep", "reproduce", str(run["run_id"])]
    words += [] if str(store.root) == "multirun" else ["--store", str(store.root)]
    return Run(words[2], str(run["name"]), str(run["outcome"]), shlex.join(words))
