"""A comparison table as Markdown."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tunesweep.report.table import Block, Table
from tunesweep.report.tuning import curve_table

if TYPE_CHECKING:
    import pandas as pd


def markdown(result: Table) -> str:
    """Return a page with a table per block and its notes."""
    return f"# Sweep {result.name}\n\n{sections(result)}\n"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], text: int) -> str:
    """Return a Markdown table of cells as they are; the first `text` columns are not numbers."""
    from tabulate import tabulate

    lines = [[_markdown_text(cell) for cell in row] for row in rows]
    align = ["left"] * text + ["right"] * (len(header) - text)
    return str(tabulate(lines, header, tablefmt="pipe", disable_numparse=True, colalign=align))


def sections(result: Table) -> str:
    """Return the tables with their notes, as sections of a page; last what is said of each class."""
    classes = f"## Per class\n\n{result.classes}" if result.classes else ""
    parts = [*(_section(block) for block in result.blocks), _bullets(result.notes), classes]
    return "\n\n".join(part for part in parts if part)


def _section(block: Block) -> str:
    align = ["right" if column.numeric else "left" for column in block.columns]
    cells = frame(block, _markdown_text)
    # Numbers are formatted already: tabulate would make 1.10 of "1.100".
    text = cells.to_markdown(index=False, disable_numparse=True, colalign=align)
    header, lines = curve_table(block.trials)
    curves = markdown_table(header, lines, text=1) if lines else ""
    parts = (f"## {_markdown_text(block.title)}", text, _bullets(block.notes), curves)
    return "\n\n".join(part for part in parts if part)


def _bullets(notes: list[str]) -> str:
    return "\n".join(f"- {_markdown_text(note)}" for note in notes)


def _markdown_text(text: str) -> str:
    return html.escape(text, quote=False).replace("|", "\\|")


def frame(block: Block, text: Callable[[str], str]) -> pd.DataFrame:
    """Return what a block shows, each cell and header written by `text`."""
    import pandas as pd

    cells = [[text(column.cell(row)) for column in block.columns] for row in block.rows]
    return pd.DataFrame(cells, columns=[text(column.header) for column in block.columns])
