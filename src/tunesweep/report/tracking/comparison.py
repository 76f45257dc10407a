"""The comparison of a sweep as a W&B run: the report's tables, its pictures, and the whole page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tunesweep.config import WandbConfig
from tunesweep.report.rows import Row, Scope, find_sweep
from tunesweep.report.series import name_of
from tunesweep.report.tracking.session import NAME, session, tags_of
from tunesweep.store import Store

if TYPE_CHECKING:
    from tunesweep.report.table import Block, Table

JOB = "comparison"
PAGE, RUNS, NOTES = "report", "runs", "notes"


def send_comparison(store: Store, scope: Scope, settings: WandbConfig, images: bool = True) -> str | None:
    """Send the comparison of a scope, as the report has it; return what went wrong, if anything did.

    Without `images`, which take a while to draw, pictures are in the page, and lines in W&B's own charts.
    """
    name = "all" if scope.all else scope.sweep or find_sweep(store)[0]
    return session(
        settings,
        store.root,
        lambda run: run.log(_content(store, scope, images)),
        exit_code=0,
        id=f"sweep-{name}",
        name=f"comparison {name}"[:NAME],
        group=name[:NAME],
        tags=tags_of([f"sweep:{name}", JOB]),
        job_type=JOB,
    )


def table_key(number: int) -> str:
    """Return under which name the table of a block is sent."""
    return f"block{number}_{JOB}"


def _content(store: Store, scope: Scope, images: bool) -> dict[str, Any]:
    import wandb

    from tunesweep.report.html.page import page
    from tunesweep.report.render import build
    from tunesweep.report.tracking.charts import charts

    table = build(store, scope)
    found = {table_key(number): _as_table(*cells(block)) for number, block in enumerate(table.blocks, 1)}
    found |= {RUNS: _as_table(*_runs(table)), NOTES: _as_table(["block", "note"], list(_notes(table)))}
    # The page is whole: what W&B would add to its head is fetched from elsewhere.
    found[PAGE] = wandb.Html(page(store, table), inject=False, data_is_not_path=True)
    return found | charts(store, table, images)


def cells(block: Block) -> tuple[list[str], list[list[Any]]]:
    """Return header and lines of a block's table: numbers unrounded, an interval as its two ends."""
    columns: dict[str, list[Any]] = {"row": [name_of(row) for row in block.rows]}
    for column in block.columns:
        values = [row[column.key] for row in block.rows]
        if column.key == "interval":
            columns |= {
                f"{column.header}, {end}": [row[end] for row in block.rows] for end in ("low", "high")
            }
        else:
            columns[column.header] = _alike(values)
    columns["runs"] = [" ".join(run["run_id"] for run in row.runs or (row,)) for row in block.rows]
    return list(columns), [list(line) for line in zip(*columns.values(), strict=True)]


def _alike(values: list[Any]) -> list[Any]:
    """Return values of one kind, as W&B wants a column: all numbers, or all texts."""
    known = [value for value in values if value is not None]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        return values
    return [None if value is None else str(value) for value in values]


def _runs(table: Table) -> tuple[list[str], list[list[Any]]]:
    """Return all columns of all runs, unrounded."""
    rows: list[tuple[int, Row]] = [
        (number, run) for number, block in enumerate(table.blocks, 1) for run in block.runs
    ]
    raw = [{"block": number} | run.raw for number, run in rows]
    names = list(dict.fromkeys(name for row in raw for name in row))
    columns = [_alike([row.get(name) for row in raw]) for name in names]
    return names, [list(line) for line in zip(*columns, strict=True)]


def _notes(table: Table) -> Iterator[list[str]]:
    """Yield what the report says: the title of each block, and every note."""
    for number, block in enumerate(table.blocks, 1):
        yield from ([str(number), text] for text in (block.title, *block.notes))
    yield from (["all", text] for text in table.notes)


def _as_table(columns: list[str], lines: list[list[Any]]) -> Any:
    import wandb

    return wandb.Table(columns=columns, data=lines)
