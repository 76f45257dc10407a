"""Loss and score by epoch, of each row. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tunesweep.report.columns import significant
from tunesweep.report.fields import dig, number
from tunesweep.report.rows import Row
from tunesweep.report.series import (
    MOST,
    Axis,
    Picture,
    Point,
    Records,
    Series,
    name_of,
    place_of,
    score_axis,
    without_common,
)


def training(rows: list[Row], records: Records, methods: Sequence[str]) -> Iterator[Picture]:
    """Yield loss and score on the select split and the loss of training, by epoch."""
    score = score_axis(rows).title
    select = {"loss": "loss on select", score.replace(" ", "_"): f"{score} on select"}
    for key, title in {**select, "train_loss": "training loss"}.items():
        if lines := _lines(rows, records, key, methods):
            y, shown = Axis(title, significant), tuple(lines[:MOST])
            yield Picture(
                f"training-{key}", f"Training: {title}", Axis("epoch"), y, shown, notes=_notes(lines)
            )


def _lines(rows: list[Row], records: Records, key: str, methods: Sequence[str]) -> list[Series]:
    """Return a line for each row with two epochs or more; those of one method differ in their dashes."""
    lines: list[Series] = []
    for row in rows:
        place = place_of(row, methods)
        if len(points := _by_epoch(row, records, key)) > 1:
            same = sum(line.method == place for line in lines)
            lines.append(Series(name_of(row), points, place, same))
    names = without_common([line.name for line in lines])
    return [replace(line, name=name) for line, name in zip(lines, names, strict=True)]


def _notes(lines: list[Series]) -> tuple[str, ...]:
    barred = any(point.low is not None for line in lines for point in line.points)
    bars = ["Of several seeds the mean, and bars from the least to the most."] if barred else []
    first = f"The first {MOST} of {len(lines)} rows; --where KEY=VALUE picks others."
    return (*bars, *([first] if len(lines) > MOST else []))


def _by_epoch(row: Row, records: Records, key: str) -> tuple[Point, ...]:
    """Return the means over seeds, from the least to the most of them."""
    found: dict[float, list[float]] = {}
    for run in row.runs or (row,):
        record = records.get(run["run_id"])
        for entry in record.history if record else ():
            epoch, value = number(dig(entry, "epoch")), number(dig(entry, key))
            if epoch is not None and value is not None:
                found.setdefault(epoch, []).append(value)
    several = len(row.runs) > 1
    return tuple(
        Point(epoch, sum(each) / len(each), name_of(row), *((min(each), max(each)) if several else ()))
        for epoch, each in sorted(found.items())
    )
