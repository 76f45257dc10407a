"""Expected best score against number of trials, a line for each tuned row. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tunesweep.report.series import MOST, Axis, Picture, Point, Series, place_of, score_axis, without_common
from tunesweep.report.tuning import Trials, budgets, expected_curve, expected_range

EACH = 4  # trials up to which every number has its point; beyond, powers of two
SOURCE = (
    "Mean test score of the trial that is best on select, over all subsets of so many trials (unbiased: "
    "R. Tang and others, ACL 2020, after J. Dodge and others, EMNLP 2019). Bars: 95 % of the subsets, the "
    "luck of which trials were drawn; neither seeds nor scored examples are counted. Of all trials there is "
    "one subset, hence no bar: its interval is in the table."
)


def budget_curves(trials: Sequence[Trials], methods: Sequence[str]) -> Iterator[Picture]:
    """Yield the picture, where some row had two trials that scored."""
    curves = [(each, expected_curve(each)) for each in trials]
    known = [(each, curve) for each, curve in curves if curve]
    most = max((len(curve) for _, curve in known), default=0)
    if most < 2:
        return
    names = without_common([each.name for each, _ in known])
    lines: list[Series] = []
    for (each, curve), name in zip(known[:MOST], names, strict=False):
        method = place_of(each.tried[0], methods)
        dash = sum(line.method == method for line in lines)
        lines.append(Series(name, tuple(_points(each, curve, name)), method, dash))
    y = score_axis(row for each, _ in known for row in each.tried)
    notes = (
        (f"The first {MOST} of {len(known)} lines; --where KEY=VALUE picks others.",)
        if len(known) > MOST
        else ()
    )
    yield Picture(
        "tuning",
        "Tuning",
        Axis("trials", log=most > EACH),
        Axis(f"expected {y.title}", y.show),
        tuple(lines),
        notes=notes,
        dodged=True,
        caption=SOURCE,
    )


def _points(trials: Trials, curve: list[float], name: str) -> Iterator[Point]:
    ranges = expected_range(trials)
    for size in sorted({*range(1, min(EACH, len(curve)) + 1), *budgets(len(curve))}):
        bar = ranges[size - 1] if size < len(curve) else (None, None)
        yield Point(size, curve[size - 1], name, *bar)
