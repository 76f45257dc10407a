"""Rows that differ in what was tuned become one: the best on the select split, whatever its test score is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean
from typing import Any

from tunesweep.errors import BadConfig
from tunesweep.report.columns import DASH, score_text
from tunesweep.report.rows import NOT_RUN, Row
from tunesweep.report.scores import SCALES
from tunesweep.report.seeds import SEEDS, configuration, name_without, partly_stopped
from tunesweep.search.trials import Score, Selected
from tunesweep.stats.trials import chosen_range, expected_best


@dataclass(frozen=True)
class Trials:
    """What was tried for a row of the table: one configuration for each value of what is tuned."""

    name: str
    tried: tuple[Row, ...]  # in the order given, whether they succeeded or not
    metric: str | None


def check_tuning(names: Sequence[str]) -> None:
    """Refuse to tune what is no choice."""
    for name in names:
        if name.split(".")[0] in ("seed", "seeds"):
            raise BadConfig(
                f"report.tuning: {name!r} is not tuned, as the best seed is luck: name a setting, as train.lr"
            )


def tuned_settings(row: Row, names: Sequence[str]) -> list[str]:
    """Return which settings of a row are tuned: `names` are settings or groups of them."""
    return [key for key in row.settings if any(key == name or key.startswith(f"{name}.") for name in names)]


def tune(rows: Sequence[Row], names: Sequence[str]) -> tuple[list[Row], list[Trials]]:
    """Return one row for all that differ in tuned settings alone, and what each was chosen among.

    Chosen is by the mean over seeds of what the task is watched by on select, then by the loss there; of
    equal ones the first. Rows with test scores but none on select stay apart: nothing chooses among them.
    """
    if not names:
        return list(rows), []
    found: list[Row] = []
    trials: list[Trials] = []
    for members in _groups(rows, names):
        place = choose([on_select(row) for row in members])
        if place is None and any(row["score"] is not None for row in members):
            found += members
            continue
        trials.append(_trials(members, names))
        found.append(_chosen(members, place))
    return found, trials


def _groups(rows: Sequence[Row], names: Sequence[str]) -> Iterator[list[Row]]:
    """Put rows together that differ in tuned settings alone, and in what follows from these.

    What seems to follow, but has two values where all that is tuned is the same, was chosen as well.
    """
    for kin in _alike(rows, lambda row: [*tuned_settings(row, names), *_with_rank(row, names)]):
        apart = partial(_apart, names=names, fixed=_fixed_alphas(kin))
        for members in _alike(kin, apart):
            same: dict[str, list[Row]] = {}
            for row in members:
                same.setdefault(_values(row, tuned_settings(row, names)), []).append(row)
            chosen = {
                key
                for some in same.values()
                for key in _with_rank(some[0], names)
                if key in apart(some[0]) and len({_values(row, [key]) for row in some}) > 1
            }
            yield from _alike(members, partial(_without, apart=apart, chosen=chosen))


def _without(row: Row, apart: Callable[[Row], list[str]], chosen: set[str]) -> list[str]:
    return [key for key in apart(row) if key not in chosen]


def _alike(rows: Sequence[Row], apart: Callable[[Row], list[str]]) -> Iterable[list[Row]]:
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(configuration(row, apart(row)), []).append(row)
    return groups.values()


def _apart(row: Row, names: Sequence[str], fixed: set[Any]) -> list[str]:
    """Return what is tuned of a row and what follows: alpha, where it is twice the rank and not fixed."""
    alpha, r = (row.settings.get(key) for key in ("lora.alpha", "lora.r"))
    follows = r is not None and alpha == 2 * r and alpha not in fixed
    found = [key for key in _with_rank(row, names) if key != "lora.alpha" or follows]
    return [*tuned_settings(row, names), *found]


def _fixed_alphas(rows: Sequence[Row]) -> set[Any]:
    """Return the alphas that several ranks have, so that alpha does not follow the rank there."""
    pairs = {(row.settings.get("lora.alpha"), row.settings.get("lora.r")) for row in rows}
    return {alpha for alpha, times in Counter(alpha for alpha, _ in pairs).items() if times > 1}


def _with_rank(row: Row, names: Sequence[str]) -> list[str]:
    """Return what may follow from a tuned setting of LoRA: a method's `peft`; and alpha, from the rank."""
    tuned = [key for key in tuned_settings(row, names) if key.startswith("lora.")]
    alpha = {"lora.alpha"} if "lora.r" in tuned else set()
    return [key for key in row.settings if tuned and (key.startswith("method.peft.") or key in alpha)]


def _values(row: Row, keys: Sequence[str]) -> str:
    return repr([(key, row.settings.get(key)) for key in keys])


def trains(row: Row) -> bool:
    """Whether a row's method trains anything, so that there is something to tune."""
    return row.settings.get("method.trained") is not False


def varied(trials: Iterable[Trials], names: Sequence[str]) -> list[str]:
    """Return the tuned settings in which the trials of some row differ."""
    found: dict[str, None] = {}
    for each in trials:
        keys = {key: None for row in each.tried for key in tuned_settings(row, names)}
        values = {key: {repr(row.settings.get(key)) for row in each.tried} for key in keys}
        found |= {key: None for key in keys if len(values[key]) > 1}
    return list(found)


def with_select(run: Row) -> Row:
    """Return a run that says how it did on select, for the files that list all runs."""
    return (
        run if run.selected is None else replace(run, values=run.values | {"on_select": run.selected.shown})
    )


def choose(scores: Sequence[Selected | None]) -> int | None:
    """Return the place of the best score on select, the first of equal ones; None where there is none."""
    known = [place for place, score in enumerate(scores) if score is not None]
    return max(known, key=lambda place: _rank(scores[place]), default=None)


def _rank(found: Selected | None) -> Score:
    assert found is not None
    return found.score


def on_select(row: Row) -> Selected | None:
    """Return the mean over the seeds of a row of how they did on select."""
    found = [run.selected for run in (row.runs or (row,)) if run.selected is not None]
    if not found or partly_stopped(row.runs):
        return None
    score = Score(fmean(s.score.value for s in found), fmean(s.score.minus_loss for s in found))
    return Selected(score, fmean(s.shown for s in found))


def _trials(members: Sequence[Row], names: Sequence[str]) -> Trials:
    tried = tuple(row for row in members if row["status"] != NOT_RUN)
    first = members[0]
    name = name_without(first, SEEDS | set(tuned_settings(first, names)))
    metric = next((str(row["metric"]) for row in members if row["metric"]), None)
    return Trials(f"{first['label']}: {name}" if first["label"] else name, tried, metric)


def _chosen(members: Sequence[Row], place: int | None) -> Row:
    """Return the chosen row, which says among how many it was; of none that has a score, the first."""
    row = members[place or 0]
    if not trains(row) and len(members) == 1:  # so nothing was tuned
        return row
    tried = sum(member["status"] != NOT_RUN for member in members)
    selected = on_select(row)
    values = {"trials": tried} | ({} if selected is None else {"on_select": selected.shown})
    return replace(row, values=row.values | values)


def expected_curve(trials: Trials) -> list[float]:
    """Return for 1 to N trials the test score that is expected of the one that select chooses.

    Of the trials that have both scores; the last is the score in the table. Means over seeds, and of
    perplexities over their losses. The formula's source: `stats.trials.expected_best`.
    """
    select, test = scores(trials)
    return [_shown(trials, mean) for mean in expected_best(select, test)]


def expected_range(trials: Trials) -> list[tuple[float, float]]:
    """Return for 1 to N trials between which test scores the chosen one lies in 95 % of all subsets."""
    ranges = chosen_range(*scores(trials))
    return [(_shown(trials, low), _shown(trials, high)) for low, high in ranges]


def _shown(trials: Trials, mean: float) -> float:
    scale = SCALES.get(str(trials.metric))
    return scale.shown(mean) if scale else mean


def scores(trials: Trials) -> tuple[list[float], list[float]]:
    """Return of the trials that have both scores the rank on select, and the test score as a mean."""
    known = [(on_select(row), _test(row)) for row in trials.tried]
    pairs = [(found.score, test) for found, test in known if found is not None and test is not None]
    order = sorted({score for score, _ in pairs})
    return [float(order.index(score)) for score, _ in pairs], [test for _, test in pairs]


def _test(row: Row) -> float | None:
    """Return the mean test score over seeds, on the scale on which it is a mean."""
    scale = SCALES.get(str(row["metric"]))
    scores = [run["score"] for run in (row.runs or (row,)) if run["score"] is not None]
    scores = [] if partly_stopped(row.runs) else scores
    return fmean(scale.mean(score) if scale else score for score in scores) if scores else None


def budgets(most: int) -> list[int]:
    """Return the numbers of trials at which curves are shown: powers of two, and the last."""
    return sorted({2**power for power in range(most.bit_length())} | {most})


def curve_table(trials: Sequence[Trials]) -> tuple[list[str], list[list[str]]]:
    """Return the curves as header and lines of a table, at powers of two and at the last number of trials.

    Without lines where no row had two trials that scored; a dash where a row had fewer.
    """
    curves = [(each.name, expected_curve(each)) for each in trials]
    most = max((len(curve) for _, curve in curves), default=0)
    if most < 2:
        return [], []
    shown = budgets(most)
    lines = [
        [name, *(score_text(curve[n - 1]) if n <= len(curve) else DASH for n in shown)]
        for name, curve in curves
        if curve
    ]
    return [
        f"expected {trials[0].metric} after",
        *(f"{n} trials" if n > 1 else "1 trial" for n in shown),
    ], lines
