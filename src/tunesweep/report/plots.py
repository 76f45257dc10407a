"""Pictures for papers: each one as PNG and PDF, drawn by matplotlib from what `html` draws too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

from tunesweep.errors import StorageError
from tunesweep.report.budget_curves import budget_curves
from tunesweep.report.curves import curves
from tunesweep.report.epochs import training
from tunesweep.report.fronts import FRONT, TIED, fronts
from tunesweep.report.series import Picture, Records, Series
from tunesweep.report.table import Block, Table
from tunesweep.store import Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".pdf")
INCHES = (5.2, 3.4)  # a column and a half of most styles
DPI = 200
# Distinct to colour-blind readers too (Okabe and Ito, 2008), dark enough for white paper.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#8a3f9b", "#a06c00", "#cc4477", "#3584b0", "#5b6470")
MARKERS = ("o", "s", "^", "D", "v")
DASHES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (8, 2)), (0, (1, 4)))
CAPTION, LINE = 120, 0.12  # characters in a line of a caption, and its height in inches
LEGEND = 10  # lines that a legend inside the picture has room for
STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dde1e6",
    "axes.axisbelow": True,
    "pdf.fonttype": 42,  # text stays text
}


def pictures(block: Block, records: Records, methods: Sequence[str]) -> list[Picture]:
    """Return all pictures of a block."""
    found = [*fronts(block.verdict, methods), *curves(block.rows, records, methods)]
    return [*found, *budget_curves(block.trials, methods), *training(block.rows, records, methods)]


def save(store: Store, table: Table, folder: Path) -> list[Path]:
    """Write every picture of every block into a folder, as BLOCK-PICTURE.png and .pdf."""
    methods = list(dict.fromkeys(str(row["method"]) for block in table.blocks for row in block.rows))
    written = []
    for number, block in enumerate(table.blocks, 1):
        found = {run["run_id"]: store.get(run["run_id"]) for run in block.runs}
        records = {name: record for name, record in found.items() if record is not None}
        for picture in pictures(block, records, methods):
            written += _write(picture, block.title, folder / f"{number}-{picture.key}")
    return written


def _write(picture: Picture, title: str, base: Path) -> list[Path]:
    import matplotlib as mpl

    paths = [base.with_suffix(suffix) for suffix in SUFFIXES]
    try:
        base.parent.mkdir(parents=True, exist_ok=True)
        with mpl.rc_context(STYLE):
            figure = draw(picture, title)
            for path in paths:
                # Without date and version, the same runs give the same file.
                metadata = {"CreationDate": None} if path.suffix == ".pdf" else {"Software": None}
                figure.savefig(path, dpi=DPI, metadata=metadata)
    except OSError as error:
        raise StorageError(f"{base.parent} cannot be written ({error}): free some space there") from None
    return paths


def draw(picture: Picture, title: str = "") -> Figure:
    """Return a figure; no display is needed, and no state of pyplot is touched."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=INCHES, layout="constrained")
    axes = figure.subplots()
    if picture.x.log:
        axes.set_xscale("log")
    for series in picture.series:
        _series(axes, series, picture)
    _front(axes, picture)
    _label(axes, picture, title)
    _legend(figure, axes, len(picture.series))
    if picture.caption:
        lines = fill(picture.caption, CAPTION)
        width, height = figure.get_size_inches()
        figure.set_size_inches(width, height + LINE * (lines.count("\n") + 1))
        figure.supxlabel(_safe(lines), fontsize=6, x=0.01, ha="left", color="#59626d")
    return figure


def _series(axes: Axes, series: Series, picture: Picture) -> None:
    colour, marker = (some[series.method % len(some)] for some in (COLOURS, MARKERS))
    dash = DASHES[series.dash % len(DASHES)] if picture.joined else "none"
    if picture.joined:
        line = [(point.x, point.y) for point in series.points]
        axes.plot(*zip(*line, strict=True), color=colour, linestyle=dash, linewidth=1.3)
    for mark in dict.fromkeys(point.mark for point in series.points):
        points = [point for point in series.points if point.mark == mark]
        faint = 0.35 if picture.front and mark not in (FRONT, TIED) else 1.0
        x, y = [point.x for point in points], [point.y for point in points]
        ends = [(p.x, p.low, p.high) for p in points if p.low is not None and p.high is not None]
        if ends:
            axes.vlines(*zip(*ends, strict=True), color=colour, linewidth=0.9, alpha=0.6 * faint)
        face = "white" if mark == TIED else colour
        axes.plot(x, y, marker, color=colour, markerfacecolor=face, markersize=4.5, alpha=faint)
    # For the legend: one mark, whatever the marks of its points are.
    axes.plot([], [], marker=marker, color=colour, linestyle=dash, markersize=4.5, label=_safe(series.name))


def _safe(text: str) -> str:
    """Keep matplotlib from taking a text for mathematics, or hiding a name that begins with a line."""
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def _front(axes: Axes, picture: Picture) -> None:
    """Draw the front as steps, to the edge: what a cost buys, until a higher one buys more."""
    if picture.front:
        right = axes.get_xlim()[1]
        x = [*(point.x for point in picture.front), right]
        y = [*(point.y for point in picture.front), picture.front[-1].y]
        axes.step(x, y, where="post", color="#1b1f24", linewidth=1, alpha=0.7, label="front", zorder=1)
        axes.set_xlim(right=right)


def _label(axes: Axes, picture: Picture, title: str) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

    places = sorted({point.x for series in picture.series for point in series.points})
    axes.set_xlabel(_safe(picture.x.title))
    axes.set_ylabel(_safe(picture.y.title))
    axes.set_title(_safe(title), fontsize=8, loc="left")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _safe(picture.x.text(value))))
    axes.xaxis.set_minor_formatter(NullFormatter())
    if picture.x.names or (picture.joined and len(places) <= LEGEND):
        axes.set_xticks(places)
        axes.xaxis.set_minor_locator(NullLocator())


def _legend(figure: Figure, axes: Axes, lines: int) -> None:
    if lines <= LEGEND:
        axes.legend(frameon=False, fontsize=7)
    else:
        width, height = INCHES
        figure.set_size_inches(width * 1.5, height)
        figure.legend(loc="outside right upper", frameon=False, fontsize=6)
