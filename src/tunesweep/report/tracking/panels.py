"""Panels of W&B for a block and for the comparison: a workspace and a report hold the same ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from tunesweep.report.tracking.charts import FIELDS, SPECIFICATION, Drawing
from tunesweep.report.tracking.comparison import PAGE, table_key
from tunesweep.report.tracking.topics import Quantity, Topic

if TYPE_CHECKING:
    from wandb_workspaces.reports.v2 import Layout, Panel

_CURVES = {"train_loss": "training loss", "lr": "learning rate"}  # not scores on select
WIDE, HALF, HIGH, LOW = 24, 12, 14, 8  # of a report, which has 24 columns


def of_topic(topic: Topic) -> list[Panel]:
    """Return scores by method, along all settings, against rank and costs, and training curves."""
    return _placed([*_scores(topic), *_scatters(topic), *_curves(topic)])


def _scores(topic: Topic) -> Iterator[Any]:
    from wandb_workspaces.reports import v2 as wr

    yield wr.BarPlot(
        title=f"{topic.metric} by method",
        metrics=[topic.score],
        groupby=wr.Config("method.name"),
        groupby_aggfunc="mean",
        groupby_rangefunc="minmax",
    )
    if topic.settings:
        columns = [
            wr.ParallelCoordinatesPlotColumn(wr.Config(each.name), display_name=each.title, log=each.log)
            for each in topic.settings
        ]
        last = wr.ParallelCoordinatesPlotColumn(wr.SummaryMetric(topic.score), display_name=topic.metric)
        yield wr.ParallelCoordinatesPlot(title=f"{topic.metric} along all settings", columns=[*columns, last])


def _scatters(topic: Topic) -> Iterator[Any]:
    from wandb_workspaces.reports import v2 as wr

    rank = [each for each in topic.settings if each.name == "lora.r"]
    for each in rank:
        yield _scatter(topic, each, wr.Config(each.name))
    for each in [*([topic.rows] if topic.rows else []), *topic.costs]:
        yield _scatter(topic, each, wr.SummaryMetric(each.name))


def _scatter(topic: Topic, each: Quantity, x: Any) -> Any:
    from wandb_workspaces.reports import v2 as wr

    title = f"{topic.metric} against {'rank' if each.name == 'lora.r' else each.title}"
    return wr.ScatterPlot(title=title, x=x, y=wr.SummaryMetric(topic.score), log_x=each.log or None)


def _curves(topic: Topic) -> Iterator[Any]:
    from wandb_workspaces.reports import v2 as wr

    for name in topic.curves:
        said = name.removeprefix("curve_")
        title = _CURVES.get(said) or f"{said.replace('_', ' ')} on select"
        yield wr.LinePlot(title=title, x="epoch", y=[name], title_x="epoch")


def of_comparison(blocks: int, drawings: Iterable[Drawing]) -> list[Panel]:
    """Return the tables of the comparison, its charts, its images, and the whole page."""
    from wandb_workspaces.reports import v2 as wr

    found: list[Any] = [wr.WeavePanelSummaryTable(table_name=table_key(i + 1)) for i in range(blocks)]
    for drawing in drawings:
        if drawing.native:
            found.append(
                wr.CustomChart(
                    query={"summaryTable": {"tableKey": drawing.table_name}},
                    chart_name=SPECIFICATION,
                    chart_fields=FIELDS,
                    chart_strings=drawing.strings,
                )
            )
        if drawing.image:
            found.append(wr.MediaBrowser(title=drawing.picture.title, media_keys=[drawing.image_name]))
    return _placed([*found, wr.MediaBrowser(title="the report as a page", media_keys=[PAGE])], wide=blocks)


def _placed(panels: list[Any], wide: int = 0) -> list[Panel]:
    """Put panels side by side, two in a line; the first `wide` ones, which are tables, fill theirs."""
    for place, panel in enumerate(panels):
        panel.layout = _layout(place, wide)
    return panels


def _layout(place: int, wide: int) -> Layout:
    from wandb_workspaces.reports import v2 as wr

    if place < wide:
        return wr.Layout(x=0, y=place * HIGH, w=WIDE, h=HIGH)
    line, column = divmod(place - wide, 2)
    return wr.Layout(x=column * HALF, y=wide * HIGH + line * LOW, w=HALF, h=LOW)
