"""The `tunesweep` command: what one asks of finished runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from tunesweep.errors import TunesweepError
from tunesweep.report.rows import Scope
from tunesweep.store import Store

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@contextmanager
def _one_sentence() -> Iterator[None]:
    """Turn an error of ours into its sentence and exit status 1."""
    try:
        yield
    except TunesweepError as error:
        typer.echo(f"tunesweep: {error}", err=True)
        raise typer.Exit(1) from None


@app.callback(invoke_without_command=True)
def main(context: typer.Context) -> None:
    """Ask about finished runs; `python train.py` starts them."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def report(
    sweep: Annotated[str | None, typer.Option(help="Id of a sweep; the last one if absent.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every run of the store.")] = False,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE", help="Rows of which it holds: method=lora,qlora or train.epochs=2."
        ),
    ] = None,
    store: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("multirun"),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all columns as JSON, write nothing.")
    ] = False,
) -> None:
    """Print the comparison table, and write it as Markdown, CSV and LaTeX."""
    from tunesweep.report import render

    with _one_sentence():
        scope = Scope(sweep, everything, tuple(where or ()))
        if as_json:
            rows = render.raw_rows(render.build(Store(store), scope))
            typer.echo(json.dumps(rows, indent=1))
        else:
            render.report(Store(store), scope)


@app.command()
def verify(
    run_ids: Annotated[
        list[str] | None, typer.Argument(metavar="RUN_ID", help="Runs; those of the last sweep if absent.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every run of the store.")] = False,
    store: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("multirun"),
) -> None:
    """Check that the files of finished runs are there, and unchanged since they were written."""
    from tunesweep.verify import verify

    with _one_sentence():
        verdict = verify(Store(store), run_ids or (), everything)
        for problem in verdict.problems:
            typer.echo(f"tunesweep: {problem}", err=True)
        if verdict.problems:
            raise typer.Exit(1)
        typer.echo(f"ok: {verdict.files} files of {verdict.runs} finished runs are as they were written")
