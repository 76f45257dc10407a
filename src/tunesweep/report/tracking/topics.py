"""What the panels of a block can be about: only what its runs send. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tunesweep.report.factors import factors
from tunesweep.report.fronts import COSTS as FRONTS
from tunesweep.report.rows import Row
from tunesweep.report.series import Records, is_log
from tunesweep.report.table import Block
from tunesweep.report.tracking.runs import comparable, curves, score_key

# Column of the report -> where a W&B run has it: in its configuration, or in its summary.
SETTINGS = {
    **{"model": "model.name", "method": "method.name"},
    **{"r": "lora.r", "alpha": "lora.alpha", "lr": "train.lr"},
}
COSTS = {
    "memory_bytes": "cost_memory_bytes",
    "training_minutes": "cost_training_minutes",
    "trainable": "parameters_trainable",
    "disk_bytes": "cost_disk_bytes",
}
ROWS = "train_rows"
TITLES = {column: axis.title for column, (_, axis) in FRONTS.items()} | {ROWS: "training examples"}


@dataclass(frozen=True)
class Quantity:
    """Something that the runs of a block differ in: its title, where it is, and whether it spreads wide."""

    title: str
    name: str  # dotted in a configuration, plain in a summary
    log: bool = False


@dataclass(frozen=True)
class Topic:
    """What can be shown of a block."""

    title: str
    comparable: str  # what its runs say in their configuration under this name
    score: str
    metric: str
    settings: tuple[Quantity, ...]
    costs: tuple[Quantity, ...]
    rows: Quantity | None
    curves: tuple[str, ...]


def topic(block: Block, records: Records) -> Topic | None:
    """Return what can be shown of a block, or nothing where no run has a score."""
    scored = [run for run in block.runs if run["score"] is not None and run.measured]
    if not scored:
        return None
    name, score = comparable(scored[0]), score_key(scored[0])
    found = [records[run["run_id"]] for run in scored if run["run_id"] in records]
    sent = dict.fromkeys(name for record in found for entry in curves(record) for name in entry)
    return Topic(
        title=block.title,
        comparable=str(name),
        score=str(score),
        metric=str(scored[0]["metric"]).replace("_", " "),
        settings=tuple(_settings(scored)),
        costs=tuple(_varied(scored, COSTS)),
        rows=next(_varied(scored, {ROWS: ROWS}), None),
        curves=tuple(each for each in sent if each != "epoch"),
    )


def _settings(rows: list[Row]) -> Iterator[Quantity]:
    """Yield the settings that rows differ in, by their place in the configuration."""
    yield from _varied(rows, SETTINGS)
    known = set(SETTINGS.values())
    for name in factors(rows):
        if name not in known and not any(isinstance(row[name], list) for row in rows):
            yield from _varied(rows, {name: name})


def _varied(rows: list[Row], places: dict[str, str]) -> Iterator[Quantity]:
    """Yield what at least two rows have, and differ in."""
    for column, name in places.items():
        values = [row[column] for row in rows if row[column] is not None]
        if len(set(map(str, values))) > 1:
            numbers = [value for value in values if isinstance(value, int | float)]
            yield Quantity(TITLES.get(column, column), name, len(numbers) == len(values) and is_log(numbers))
