"""A picture as inline SVG: no library, no script; colours are classes, so that themes can change them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from markupsafe import Markup

from tunesweep.report.html.axes import Scale, scale
from tunesweep.report.series import Axis, Picture, Point, Series

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 66, 14, 12, 52
ASIDE = 3  # pixels between neighbouring lines that are dodged
COLOURS = 8
# Outlines around (0, 0): a method is told by its shape as well as by its colour.
SHAPES = (
    "M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0z",
    "M-4.5,-4.5h9v9h-9z",
    "M0,-5.6L5.4,4.2H-5.4z",
    "M0,-6L6,0L0,6L-6,0z",
    "M0,5.6L5.4,-4.2H-5.4z",
)
DASHES = ("", "7 4", "2 4", "10 3 2 3", "14 4", "1 6")


def draw(picture: Picture, name: str) -> Markup:
    """Return the picture; `name` is its id in the page. Its text alternative is the table beside it."""
    x, y = _scales(picture)
    lines = [
        part
        for place, each in enumerate(picture.series)
        for part in _series(each, picture, _aside(x, picture, place), y)
    ]
    inner = Markup("").join([*_grid(picture, x, y), *_front(picture, x, y), *lines])
    return Markup(
        '<svg viewBox="0 0 {width} {height}" role="img" '
        'aria-labelledby="{name}-t" aria-describedby="{name}-d">'
        '<title id="{name}-t">{title}</title><desc id="{name}-d">{desc}</desc>{inner}</svg>'
    ).format(width=WIDTH, height=HEIGHT, name=name, title=picture.title, desc=describe(picture), inner=inner)


def describe(picture: Picture) -> str:
    """Say in a sentence what a picture shows."""
    points = sum(len(each.points) for each in picture.series)
    names = ", ".join(each.name for each in picture.series)
    front = f" On the front: {', '.join(point.label for point in picture.front)}." if picture.front else ""
    return (
        f"{picture.y.title} against {picture.x.title}: {points} points of {names}.{front} "
        "The numbers are in the table below the picture."
    )


def swatch(series: Series, line: bool) -> Markup:
    """Return what stands before a name in the legend."""
    stroke = (
        Markup('<path class="line c{}" d="M0,7H40" {}/>').format(_colour(series), _dash(series))
        if line
        else ""
    )
    return Markup('<svg class="swatch" viewBox="0 0 40 14" aria-hidden="true">{}{}</svg>').format(
        stroke, _shape(series, 20, 7, "")
    )


def _scales(picture: Picture) -> tuple[Scale, Scale]:
    points = [point for each in picture.series for point in each.points]
    right = WIDTH - RIGHT
    if picture.x.names:
        x = Scale(-0.6, len(picture.x.names) - 0.4, LEFT, right)
    else:
        x = scale([point.x for point in points], LEFT, right, picture.x.log)
    ends = [value for p in points for value in (p.y, p.low, p.high) if value is not None]
    return x, scale(ends, HEIGHT - BOTTOM, TOP)


def _aside(x: Scale, picture: Picture, place: int) -> Scale:
    """Move the lines of several series apart by a little."""
    shift = ASIDE * (place - (len(picture.series) - 1) / 2) if picture.dodged else 0
    return replace(x, start=x.start + shift, end=x.end + shift)


def _grid(picture: Picture, x: Scale, y: Scale) -> Iterator[Markup]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for value in y.ticks():
        yield Markup('<path class="grid" d="M{},{:.1f}H{}"/>').format(LEFT, y.at(value), right)
        yield _text(LEFT - 8, y.at(value) + 4, f"{value:g}", "end")
    for value in _x_ticks(picture, x):
        yield Markup('<path class="grid" d="M{:.1f},{}V{}"/>').format(x.at(value), TOP, bottom)
        yield _text(x.at(value), bottom + 18, _short(picture.x.text(value)), "middle")
    yield _text((LEFT + right) / 2, HEIGHT - 10, _axis_title(picture.x), "middle", "axis")
    middle = (TOP + bottom) / 2
    turned = Markup(
        '<text class="axis" text-anchor="middle" transform="translate(16,{:.0f}) rotate(-90)">{}</text>'
    )
    yield turned.format(middle, _axis_title(picture.y))


def _x_ticks(picture: Picture, x: Scale) -> list[float]:
    """Return the values themselves where they are few, as ranks are, and else round ones."""
    values = sorted({point.x for each in picture.series for point in each.points})
    return values if (len(values) <= 8 and picture.joined) or picture.x.names else x.ticks()


def _axis_title(axis: Axis) -> str:
    return f"{axis.title} (logarithmic)" if axis.log else axis.title


def _short(text: str) -> str:
    """Write 1.00 M as 1 M: a tick is exact."""
    return re.sub(r"\.0+(?!\d)", "", text)


def _text(x: float, y: float, text: str, anchor: str, kind: str = "tick") -> Markup:
    form = Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>')
    return form.format(kind, x, y, anchor, text)


def _front(picture: Picture, x: Scale, y: Scale) -> Iterator[Markup]:
    """Draw the front as steps: what a cost buys, until a higher one buys more."""
    if picture.front:
        first, *rest = picture.front
        path = f"M{x.at(first.x):.1f},{y.at(first.y):.1f}"
        path += "".join(f"H{x.at(point.x):.1f}V{y.at(point.y):.1f}" for point in rest)
        yield Markup('<path class="frontline" d="{}H{}"/>').format(path, WIDTH - RIGHT)


def _series(series: Series, picture: Picture, x: Scale, y: Scale) -> Iterator[Markup]:
    colour = _colour(series)
    if picture.joined and len(series.points) > 1:
        path = "L".join(f"{x.at(point.x):.1f},{y.at(point.y):.1f}" for point in series.points)
        yield Markup('<path class="line c{}" {} d="M{}"/>').format(colour, _dash(series), path)
    for point in series.points:
        if point.low is not None and point.high is not None:
            ends = (x.at(point.x), y.at(point.low), y.at(point.high))
            yield Markup('<path class="bar c{} {}" d="M{:.1f},{:.1f}V{:.1f}"/>').format(
                colour, point.mark, *ends
            )
    for point in series.points:
        kind = point.mark or ("" if not picture.front else "behind")
        yield Markup('<g class="point">{}<title>{}</title></g>').format(
            _shape(series, x.at(point.x), y.at(point.y), kind), tip(picture, point)
        )


def _shape(series: Series, x: float, y: float, kind: str) -> Markup:
    form = Markup('<path class="dot c{} {}" transform="translate({:.1f},{:.1f})" d="{}"/>')
    return form.format(_colour(series), kind, x, y, SHAPES[series.method % len(SHAPES)])


def tip(picture: Picture, point: Point) -> str:
    """Return what is said of a point under the pointer."""
    y, x = picture.y, picture.x
    span = ""
    if point.low is not None and point.high is not None:
        span = f" ({y.text(point.low)} to {y.text(point.high)})"
    lines = [point.label, f"{y.title}: {y.text(point.y)}{span}", f"{x.title}: {x.text(point.x)}"]
    return "\n".join([*lines, *filter(None, (point.more, MARKS[point.mark]))])


MARKS = {"": "", "front": "on the front", "tied": "not told from the front"}


def _colour(series: Series) -> int:
    return series.method % COLOURS


def _dash(series: Series) -> Markup:
    dash = DASHES[series.dash % len(DASHES)]
    return Markup('stroke-dasharray="{}"').format(dash) if dash else Markup("")


def rows(picture: Picture) -> Iterable[tuple[str, ...]]:
    """Yield the points as lines of a table: the picture's text alternative."""
    for series in picture.series:
        for point in series.points:
            ends = (point.low, point.high)
            span = [None if end is None else picture.y.text(end) for end in ends]
            interval = "–" if None in span else f"{span[0]} to {span[1]}"
            said = ", ".join(filter(None, (MARKS[point.mark], point.more)))
            yield series.name, point.label, picture.x.text(point.x), picture.y.text(point.y), interval, said
