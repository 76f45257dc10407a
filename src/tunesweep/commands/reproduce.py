"""`tunesweep reproduce`: whether a run, trained again, gives the same predictions."""

from __future__ import annotations

import signal
from dataclasses import asdict
from typing import Annotated, NoReturn

import typer

from tunesweep.commands.shared import MULTIRUN, JsonOption, StoreOption, emit, one_sentence
from tunesweep.store import Store


def reproduce(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of a finished run.")],
    *,
    tolerance: Annotated[
        float, typer.Option(min=0.0, help="Largest change of a number that still counts as the same.")
    ] = 0.0,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu or cuda; what the run was given, if absent.")
    ] = None,
    store: StoreOption = MULTIRUN,
    as_json: JsonOption = False,
) -> None:
    """Train a finished run again in a new process, and compare its predictions; the store is only read."""
    from tunesweep.serving.reproduction import reproduce

    signal.signal(signal.SIGTERM, _interrupt)  # so that the temporary store goes, and the process with it
    with one_sentence():
        found = reproduce(Store(store), run, tolerance, device)
    if as_json:
        emit(asdict(found) | {"holds": found.holds})
    else:
        for sentence in found.sentences():
            typer.echo(sentence)
    if not found.holds:
        raise typer.Exit(1)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
