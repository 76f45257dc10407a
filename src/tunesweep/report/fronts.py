"""Pareto fronts with uncertainty: rows that no cheaper row beats, and those not told from them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tunesweep.report.columns import count, size
from tunesweep.report.rows import Row
from tunesweep.report.scores import SCALES
from tunesweep.report.series import Axis, Picture, Point, Series, is_log, name_of, place_of, plain, score_axis
from tunesweep.report.verdict import LEVEL, Verdict

FRONT, TIED = "front", "tied"
COSTS = {
    "memory_bytes": ("Memory", Axis("memory above the loaded model", size)),
    "training_minutes": ("Minutes", Axis("minutes of training", plain)),
    "trainable": ("Parameters", Axis("trainable parameters", count)),
    "disk_bytes": ("Disk", Axis("bytes on disk", size)),
}
RULE = (
    "Front: no row that costs as little or less scores better. Not told from the front: each row that beats "
    "it is tied with it, or, where rows were not compared, has an interval that overlaps its own."
)


def fronts(verdict: Verdict, methods: Sequence[str]) -> Iterator[Picture]:
    """Yield the score against each cost that two rows or more have."""
    for cost in COSTS:
        rows = {
            place: row
            for place, row in enumerate(verdict.rows)
            if row["score"] is not None and row[cost] is not None
        }
        if len(rows) > 1:
            yield _front(cost, rows, verdict, methods)


def _front(cost: str, rows: dict[int, Row], verdict: Verdict, methods: Sequence[str]) -> Picture:
    title, axis = COSTS[cost]
    marks = _marks(cost, rows, verdict)
    groups: dict[str, list[Point]] = {}
    for place, row in rows.items():
        point = Point(row[cost], row["score"], name_of(row), row["low"], row["high"], marks[place])
        groups.setdefault(str(row["method"]), []).append(point)
    places = {str(row["method"]): place_of(row, methods) for row in rows.values()}
    series = tuple(Series(name, tuple(points), places[name]) for name, points in groups.items())
    line = sorted((p for each in series for p in each.points if p.mark == FRONT), key=lambda p: (p.x, p.y))
    scored = sum(row["score"] is not None for row in verdict.rows)
    absent = [f"{scored - len(rows)} of {scored} rows have no such cost."] if len(rows) < scored else []
    x = Axis(axis.title, axis.show, is_log([row[cost] for row in rows.values()]))
    y = score_axis(rows.values())
    return Picture(cost, title, x, y, series, joined=False, front=tuple(line), notes=(RULE, *absent))


def _marks(cost: str, rows: dict[int, Row], verdict: Verdict) -> dict[int, str]:
    """Return for each row whether it is on the front, cannot be told from it, or neither."""
    found = {}
    for place, row in rows.items():
        beaten = [other for other, rival in rows.items() if _beats(rival, row, cost)]
        apart = [other for other in beaten if _apart(other, place, verdict)]
        found[place] = FRONT if not beaten else "" if apart else TIED
    return found


def _beats(rival: Row, row: Row, cost: str) -> bool:
    """Whether a row is no worse in score and cost, and better in one of them."""
    scale = SCALES.get(str(row["metric"]))
    sign = 1 if scale is None or scale.higher else -1
    gains = (sign * (rival["score"] - row["score"]), row[cost] - rival[cost])
    return bool(min(gains) >= 0 and max(gains) > 0)


def _apart(rival: int, place: int, verdict: Verdict) -> bool:
    """Whether two rows were told apart, or, where they were not compared, their intervals do not overlap."""
    pair = (min(rival, place), max(rival, place))
    if pair in verdict.p_values:
        return verdict.p_values[pair] < LEVEL
    one, other = verdict.rows[rival], verdict.rows[place]
    if one["low"] is None or other["low"] is None:
        return True
    return bool(one["low"] > other["high"] or other["low"] > one["high"])
