"""What pictures show, as plain numbers: `html` draws them for screens, `plots` for papers. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tunesweep.record import RunRecord
from tunesweep.report.columns import significant
from tunesweep.report.rows import Row

MOST = 16  # lines that one picture can hold and still be read
LONG = 5  # how many times the smallest the largest value is where an axis becomes logarithmic

Records = Mapping[str, RunRecord]  # run id -> record


def plain(value: float) -> str:
    """Write a number as short as it can be."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


@dataclass(frozen=True)
class Axis:
    """An axis: its title, how a value is written, and its places where they are names."""

    title: str
    show: Callable[[float], str] = plain
    log: bool = False
    names: tuple[str, ...] = ()

    def text(self, value: float) -> str:
        """Return a value as the axis writes it."""
        return self.names[round(value)] if self.names else self.show(value)


@dataclass(frozen=True)
class Point:
    """A row in a picture: where it is, its 95 % interval, what it is called."""

    x: float
    y: float
    label: str
    low: float | None = None
    high: float | None = None
    mark: str = ""  # FRONT or TIED, of a Pareto front
    more: str = ""  # what else a reader of the point wants to know


@dataclass(frozen=True)
class Series:
    """Points that belong together: colour and shape say the method, dashes what else differs."""

    name: str
    points: tuple[Point, ...]
    method: int = 0
    dash: int = 0


@dataclass(frozen=True)
class Picture:
    """One picture: `joined` points are a line, `front` is the line of rows that no other one beats."""

    key: str
    title: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    joined: bool = True
    front: tuple[Point, ...] = ()
    notes: tuple[str, ...] = ()
    dodged: bool = False  # neighbouring lines stand a little apart, so that no bar hides another
    caption: str = ""  # what is drawn and where its formula comes from, where the axes do not say it


def name_of(row: Row) -> str:
    """Return what a row is called: by the label of its block in an experiment, or by its options."""
    return str(row["label"] or row["name"])


def without_common(names: Sequence[str]) -> list[str]:
    """Return names without the options that all of them have."""
    words = [name.split(" ") for name in names]
    common = set.intersection(*map(set, words)) if len(words) > 1 else set()
    return [" ".join(each for each in name if each not in common) or " ".join(name) for name in words]


def score_axis(rows: Iterable[Row]) -> Axis:
    """Return the axis of the metric that the rows are compared by."""
    metric = next((str(row["metric"]) for row in rows if row["metric"]), "score")
    return Axis(metric.replace("_", " "), significant)


def is_log(values: Sequence[float]) -> bool:
    """Whether values spread so far that a linear axis would squeeze the small ones."""
    return len(values) > 1 and min(values) > 0 and max(values) > LONG * min(values)


def place_of(row: Row, methods: Sequence[str]) -> int:
    """Return the number of a row's method, which colours it alike in all pictures of a report."""
    return methods.index(str(row["method"])) if str(row["method"]) in methods else len(methods)
