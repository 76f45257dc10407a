"""`tunesweep methods`: which method goes with what."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesweep.capabilities import Cell, cells_of, traits, why_not
from tunesweep.capabilities.catalogue import artefact, methods
from tunesweep.config import MethodConfig
from tunesweep.door import conf_folder

if TYPE_CHECKING:
    from rich.table import Table

SHORT = {"head": "h", "linear": "l", "label_words": "w", "generate": "g"}
FAMILIES = {"encoder": "encoder", "decoder": "decoder", "encoder_decoder": "enc.-dec."}
YES, NO = "●", "·"
LEGEND = (
    "readouts: h head, l linear, w label_words, g generate · vision: the reference models, with "
    "readout=head; 'of a run': with model.init_from=RUN\n"
    "4 bits: method.quantisation=nf4 · checkp.: runtime.gradient_checkpointing=true · "
    "why a combination is missing: tunesweep methods --json"
)


def show(as_json: bool, config_dir: Path | None = None) -> str:
    """Return the matrix of all methods, those of `config_dir` included: a table, or every cell as JSON."""
    found = methods([conf_folder(), *([config_dir] if config_dir else [])])
    return json.dumps(_described(found), indent=1) if as_json else _printed(found)


def _described(found: dict[str, MethodConfig]) -> dict[str, Any]:
    return {
        "methods": {
            name: {"kept": artefact(traits(method)), "merges": method.merges}
            for name, method in found.items()
        },
        "cells": [_cell(cell) for name, method in found.items() for cell in cells_of(name, method)],
    }


def _cell(cell: Cell) -> dict[str, Any]:
    because = why_not(cell)
    axes = ("method", "family", "quantisation", "checkpointing", "readout")
    return {key: getattr(cell, key) for key in axes} | {"allowed": because is None, "because": because}


def _printed(found: dict[str, MethodConfig]) -> str:
    from rich.console import Console

    console = Console(width=120, highlight=False)
    with console.capture() as capture:
        console.print(_table(found), LEGEND, sep="\n")
    return capture.get().rstrip()


def _table(found: dict[str, MethodConfig]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("method")
    for title in FAMILIES.values():
        table.add_column(f"{title}\n{' '.join(SHORT.values())}")
    for title in ("vision", "4 bits", "checkp.", "kept", "merges"):
        table.add_column(title)
    for name, method in found.items():
        table.add_row(name, *_row(name, method))
    return table


def _row(name: str, method: MethodConfig) -> Iterator[str]:
    every = list(cells_of(name, method))
    plain = [cell for cell in every if cell.quantisation == "none" and cell.checkpointing == "off"]
    for family in FAMILIES:
        marks = [YES if why_not(cell) is None else NO for cell in plain if cell.family == family]
        yield " ".join(marks)
    yield _vision(name, method)
    yield _said([cell for cell in every if cell.quantisation == "nf4"])
    yield _said([cell for cell in every if cell.checkpointing == "on"])
    yield artefact(traits(method))
    yield "yes" if method.merges else "–"


def _vision(name: str, method: MethodConfig) -> str:
    if why_not(Cell(name, traits(method), "vision")) is None:
        return YES
    from_run = Cell(name, traits(method), "vision", model_traits=frozenset({"started"}))
    return "of a run" if why_not(from_run) is None else NO


def _said(cells: Sequence[Cell]) -> str:
    return "yes" if any(why_not(cell) is None for cell in cells) else "–"
