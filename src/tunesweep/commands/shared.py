"""What the commands of `tunesweep` have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from tunesweep.errors import TunesweepError

MULTIRUN = Path("multirun")
StoreOption = Annotated[Path, typer.Option(help="Folder of the runs.")]


@contextmanager
def one_sentence() -> Iterator[None]:
    """Turn an error of ours into its sentence and exit status 1."""
    try:
        yield
    except TunesweepError as error:
        typer.echo(f"tunesweep: {error}", err=True)
        raise typer.Exit(1) from None


def tell(problems: Iterable[str]) -> None:
    """Print problems, and leave with status 1 if there are any."""
    problems = list(problems)
    for problem in problems:
        typer.echo(f"tunesweep: {problem}", err=True)
    if problems:
        raise typer.Exit(1)
