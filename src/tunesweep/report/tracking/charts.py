"""The report's pictures in W&B: its own line charts where they do, a PNG where something would be lost."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunesweep.report.html.page import MOST
from tunesweep.report.series import Picture
from tunesweep.report.tracking.session import key

if TYPE_CHECKING:
    from tunesweep.report.table import Table
    from tunesweep.store import Store

DPI = 110  # of a PNG, which is looked at on a screen
SPECIFICATION = "wandb/lineseries/v0"
FIELDS = {"step": "x", "lineKey": "line", "lineVal": "y"}
COLUMNS = ("line", "point", "x", "y", "low", "high", "front")


@dataclass(frozen=True)
class Drawing:
    """A picture of a block, by the name that it is sent under."""

    name: str
    title: str  # of the block
    picture: Picture

    @property
    def native(self) -> bool:
        """Whether W&B can draw it: lines it can; of points it knows no colours."""
        return self.picture.joined

    @property
    def image(self) -> bool:
        """Whether a PNG shows more: W&B draws neither intervals nor fronts, and no logarithmic axis."""
        points = (point for series in self.picture.series for point in series.points)
        return not self.native or self.picture.x.log or any(point.low is not None for point in points)

    @property
    def image_name(self) -> str:
        """Return the name of the PNG."""
        return f"{self.name}_picture"

    @property
    def table_name(self) -> str:
        """Return the name that W&B gives the points of its own chart."""
        return f"{self.name}_table"

    @property
    def strings(self) -> dict[str, str]:
        """Return what W&B writes at its own chart."""
        title, y = self.picture.title, self.picture.y.title
        return {"title": title if y in title else f"{title}: {y}", "xname": self.picture.x.title}


def drawings(store: Store, table: Table) -> Iterator[Drawing]:
    """Yield the pictures of all blocks, except of those with too many rows for one."""
    from tunesweep.report.plots import pictures

    methods = list(dict.fromkeys(str(row["method"]) for block in table.blocks for row in block.rows))
    for number, block in enumerate(table.blocks, 1):
        runs = block.runs if len(block.rows) <= MOST else []
        found = {run["run_id"]: store.get(run["run_id"]) for run in runs}
        records = {name: record for name, record in found.items() if record is not None}
        for picture in pictures(block, records, methods) if runs else []:
            yield Drawing(key(f"block{number}_{picture.key}"), block.title, picture)


def charts(store: Store, table: Table, images: bool) -> dict[str, Any]:
    """Return what is sent: charts with their points, and images if they are wanted."""
    found: dict[str, Any] = {}
    for drawing in drawings(store, table):
        if drawing.native:
            found[drawing.name] = _chart(drawing)
        if images and drawing.image:
            found[drawing.image_name] = _image(drawing)
    return found


def lines(picture: Picture) -> list[list[Any]]:
    """Return the points of a picture as lines of a table."""
    return [
        [series.name, point.label, point.x, point.y, point.low, point.high, point.mark]
        for series in picture.series
        for point in series.points
    ]


def _chart(drawing: Drawing) -> Any:
    import wandb

    table = wandb.Table(columns=list(COLUMNS), data=lines(drawing.picture))
    return wandb.plot_table(SPECIFICATION, table, FIELDS, drawing.strings)


def _image(drawing: Drawing) -> Any:
    import matplotlib as mpl
    import wandb
    from PIL import Image

    from tunesweep.report.plots import STYLE, draw

    file = io.BytesIO()
    with mpl.rc_context(STYLE):
        draw(drawing.picture, drawing.title).savefig(file, format="png", dpi=DPI, metadata={"Software": None})
    return wandb.Image(Image.open(file), caption=f"{drawing.title}: {drawing.picture.title}")
