"""What the commands of `tunesweep` have in common."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Annotated, Any

import typer

from tunesweep.errors import TunesweepError

MULTIRUN = Path("multirun")
StoreOption = Annotated[Path, typer.Option(help="Folder of the runs.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


@contextmanager
def one_sentence() -> Iterator[None]:
    """Turn an error of ours, or a full disk, into its sentence and exit status 1."""
    try:
        yield
    except TunesweepError as error:
        typer.echo(f"tunesweep: {error}", err=True)
        raise typer.Exit(1) from None
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        where = error.filename or "for what is printed"
        typer.echo(f"tunesweep: no space is left ({where}): free some, then try again", err=True)
        raise typer.Exit(1) from None


def emit(found: Any) -> None:
    """Print as JSON; a folder is its path, and a number that is none is null."""
    typer.echo(json.dumps(_finite(found), indent=1, allow_nan=False, default=os.fspath))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def tell(problems: Iterable[str]) -> None:
    """Print problems, and leave with status 1 if there are any."""
    problems = list(problems)
    for problem in problems:
        typer.echo(f"tunesweep: {problem}", err=True)
    if problems:
        raise typer.Exit(1)
