"""`tunesweep compare`: whether two trained models differ, on the examples that both were scored on."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import TYPE_CHECKING, Annotated

import typer

from tunesweep.commands.shared import MULTIRUN, StoreOption, emit, one_sentence
from tunesweep.store import Store

if TYPE_CHECKING:
    from rich.table import Table

    from tunesweep.report.compare import Comparison

FIRST = 5  # ids that are named
SHOWN = {"rouge_l": "ROUGE-L", "chrf": "chrF, mean", "token_f1": "token F1", "macro_f1": "macro F1"}


def compare(
    first: Annotated[str, typer.Argument(metavar="RUN_A", help="Id of a finished run.")],
    second: Annotated[str, typer.Argument(metavar="RUN_B", help="Id of another.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    store: StoreOption = MULTIRUN,
) -> None:
    """Say whether two trained models differ: each metric with its interval, and where they disagree."""
    from tunesweep.report.compare import as_dict
    from tunesweep.serving.pair import compared

    with one_sentence():
        found = compared(Store(store), first, second)
    if as_json:
        emit(as_dict(found))
        return
    from tunesweep.report.render import terminal

    console = terminal()
    console.print(f"A: {found.names[0]} ({found.runs[0]})", markup=False, soft_wrap=True)
    console.print(f"B: {found.names[1]} ({found.runs[1]})", markup=False, soft_wrap=True)
    console.print(_table(found))
    for sentence in sentences(found):
        console.print(sentence, markup=False, soft_wrap=True)


def _table(found: Comparison) -> Table:
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE, padding=(0, 0, 0, 1))
    for header in ("metric", "A", "B", "A - B", "95 %", "p", "test", "better"):
        table.add_column(
            header, no_wrap=True, justify="left" if header in ("metric", "test", "better") else "right"
        )
    for each in found.differences:
        better = {"first": "A", "second": "B", None: "–"}[each.better]
        name = SHOWN.get(each.metric, each.metric.replace("_", " "))
        values = (f"{each.first:.4f}", f"{each.second:.4f}", f"{each.value:+.4f}")
        interval = f"{each.low:+.4f} to {each.high:+.4f}" if isfinite(each.low) else "–"
        table.add_row(name, *values, interval, f"{each.p:.2g}", each.test, better)
    return table


def sentences(found: Comparison) -> Iterator[str]:
    """Say what the table answers, and where the two disagree."""
    yield (
        f"These runs, on these {found.n:,} examples: whether their methods differ takes several seeds. Each "
        f"p-value is of its metric alone; – is not told apart at 5 %. {found.draws:,} draws of examples."
    )
    if found.only is not None:
        yield f"Right only in A: {found.only.b:,} examples; only in B: {found.only.c:,}."
    if found.answers is None:
        return
    named = ", ".join(found.odd[:FIRST]) + (", ..." if len(found.odd) > FIRST else "")
    which = f" ({named})" if found.odd else ""
    yield f"{len(found.odd):,} of {found.n:,} examples have another {found.answers}{which}."
