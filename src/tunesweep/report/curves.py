"""The score against training examples, rank, alpha/r and encoding, by method. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tunesweep.report.factors import factors
from tunesweep.report.fields import dig, number
from tunesweep.report.rows import Row
from tunesweep.report.series import (
    MOST,
    Axis,
    Picture,
    Point,
    Records,
    Series,
    is_log,
    name_of,
    place_of,
    score_axis,
)

TRAIN = "dataset.limit.train"
Value = Callable[[Row], float | None]


def curves(rows: list[Row], records: Records, methods: Sequence[str]) -> Iterator[Picture]:
    """Yield the score against training examples, rank, alpha/r and encoding, where rows differ in them."""

    def examples(row: Row) -> float | None:
        record = records.get((row.runs or (row,))[0]["run_id"])
        known = number(dig(record.data, "rows.train")) if record else None
        found = known if known is not None else number(row[TRAIN])
        return None if found is None else float(found)

    # Key of the picture, its title, its axis, where a row stands on it, and the settings that say so.
    axes: tuple[tuple[str, str, str, Value, tuple[str, ...]], ...] = (
        ("learning", "Learning curves", "training examples", examples, (TRAIN,)),
        ("rank", "Rank", "rank r", lambda row: number(row["r"]), ("r", "lora.r")),
        ("alpha", "Alpha over rank", "alpha / r", ratio, ("alpha/r",)),
    )
    for key, title, axis, value, settings in axes:
        drawn = [(x, row) for row in rows if row["score"] is not None and (x := value(row)) is not None]
        lines, notes = _drawn(_lines(drawn, settings, methods))
        if lines:
            places = [x for x, _ in drawn]
            doubling = key != "alpha" and len(set(places)) > 2 and min(places) > 0  # as 4, 8, 16 are
            found = Axis(axis, log=doubling or is_log(places))
            yield Picture(key, title, found, score_axis(rows), lines, notes=notes, dodged=True)
    yield from _encodings(rows, methods)


def _encodings(rows: list[Row], methods: Sequence[str]) -> Iterator[Picture]:
    """Yield the score by encoding, with what the tokenizer leaves of each."""
    scored = [row for row in rows if row["score"] is not None and row["encoding.name"] is not None]
    names = tuple(dict.fromkeys(str(row["encoding.name"]) for row in scored))
    if len(names) < 2:
        return
    drawn = [(float(names.index(str(row["encoding.name"]))), row) for row in scored]
    lines = _lines(drawn, ("encoding.name",), methods, _kept)
    axis = Axis("encoding", names=names)
    notes = _left_out(lines)
    y, shown = score_axis(rows), lines[:MOST]
    yield Picture("encoding", "Encodings", axis, y, shown, joined=False, notes=notes, dodged=True)


def _kept(row: Row) -> str:
    """Say what an encoding came to after the tokenizer."""
    parts = (("tokens", "{:.0f} tokens"), ("truncated", "{:.0%} cut"), ("kept", "{:.0%} of pixels kept"))
    return ", ".join(form.format(row[key]) for key, form in parts if row[key] is not None)


def ratio(row: Row) -> float | None:
    """Return alpha over rank."""
    alpha, r = number(row["alpha"]), number(row["r"])
    return float(alpha / r) if alpha is not None and r else None


def _lines(
    drawn: list[tuple[float, Row]],
    axis: tuple[str, ...],
    methods: Sequence[str],
    more: Callable[[Row], str] = lambda _: "",
) -> tuple[Series, ...]:
    """Return a line for each method and whatever else rows differ in."""
    keys = _others([row for _, row in drawn], axis)
    groups: dict[tuple[str, ...], list[tuple[float, Row]]] = {}
    for x, row in drawn:
        groups.setdefault((str(row["method"]), *(_said(row, key) for key in keys)), []).append((x, row))
    lines: list[Series] = []
    for (method, *others), members in groups.items():
        dash = sum(line.method == place_of(members[0][1], methods) for line in lines)
        points = sorted((_point(x, row, more(row)) for x, row in members), key=lambda point: point.x)
        name = " · ".join([method, *(text for text in others if text)])
        lines.append(Series(name, tuple(points), place_of(members[0][1], methods), dash))
    return tuple(lines)


def _drawn(lines: tuple[Series, ...]) -> tuple[tuple[Series, ...], tuple[str, ...]]:
    """Return the lines that are lines, at most so many, and what is to be said of the others."""
    real = tuple(line for line in lines if len({point.x for point in line.points}) > 1)
    short = len(lines) - len(real)
    single = (
        (f"{short} of {len(lines)} lines would have one point, and are left out.",) if short and real else ()
    )
    return real[:MOST], (*single, *_left_out(real))


def _left_out(lines: tuple[Series, ...]) -> tuple[str, ...]:
    if len(lines) <= MOST:
        return ()
    return (f"The first {MOST} of {len(lines)} lines; --where KEY=VALUE picks others.",)


def _others(rows: list[Row], axis: tuple[str, ...]) -> list[str]:
    """Return in what rows of one method differ beside the axis."""
    found = []
    # With alpha/r told, alpha says no more than r does.
    for key in ("model", "r", "alpha/r", "lr", *factors(rows)):
        values: dict[str, set[str]] = {}
        for row in rows:
            values.setdefault(str(row["method"]), set()).add(_said(row, key))
        if key not in axis and any(len(each) > 1 for each in values.values()):
            found.append(key)
    return found


def _said(row: Row, key: str) -> str:
    value: Any = ratio(row) if key == "alpha/r" else row[key]
    name = ".".join(key.removesuffix(".name").split(".")[-2:])
    return "" if value is None else f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"


def _point(x: float, row: Row, more: str = "") -> Point:
    return Point(x, row["score"], name_of(row), row["low"], row["high"], more=more)
