"""`tunesweep new`: a first YAML of a method, a data set, an encoding or an experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesweep.commands.shared import one_sentence


def new(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="method, dataset, encoding or experiment.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits and '_'.")],
    to: Annotated[
        Path | None, typer.Option(help="Folder of YAML files of one's own; conf/ of the clone if absent.")
    ] = None,
) -> None:
    """Write a commented YAML that works as it stands, to be changed; nothing is ever replaced."""
    from tunesweep.scaffold.write import write

    with one_sentence():
        done = write(kind, name, to)
    for path in done.files:
        typer.echo(f"written: {path}")
    for remark in done.remarks:
        typer.echo(remark)
    typer.echo(f"next: {done.command}")
