"""Do two trained models differ: every metric that the predictions of both runs carry (R20). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tunesweep.errors import BadConfig
from tunesweep.report.rows import Row
from tunesweep.stats import measures
from tunesweep.stats.measures import Measure
from tunesweep.stats.pairs import DRAWS, Paired, bootstrap, mcnemar, permutation

Array = np.ndarray
Columns = Mapping[str, Array]
LEVEL = 0.05
FEWEST, WORK = 1999, 10_000_000  # draws; draws times examples, which take about a second a metric
LOWER = ("perplexity", "log_loss", "calibration_error")  # is better
# Scores of one text each; the chrF of a table is that of the whole corpus instead.
TEXTS = ("chrf", "rouge_l", "token_f1", "exact_match", "numeric_match")
PARTS = {  # of what two runs must agree in to be laid side by side
    "the files of the data set": 0,
    "the scored examples": 1,
    "the classes": 2,
    "the protocol of the metric": 3,
}


@dataclass(frozen=True)
class Difference:
    """One metric of both runs, first minus second."""

    metric: str
    first: float
    second: float
    low: float  # 95 %, paired bootstrap over examples
    high: float
    p: float
    test: str

    @property
    def value(self) -> float:
        """The difference."""
        return self.first - self.second

    @property
    def better(self) -> str | None:
        """Return which run is better, or None where the two cannot be told apart."""
        if self.p >= LEVEL or self.value == 0:
            return None
        return "first" if (self.value > 0) != (self.metric in LOWER) else "second"


@dataclass(frozen=True)
class Comparison:
    """What two runs differ in, on the same examples."""

    runs: tuple[str, str]
    names: tuple[str, str]
    n: int
    draws: int  # of each permutation test and each bootstrap
    differences: list[Difference]
    odd: list[str] = field(default_factory=list)  # ids of examples that the two answer differently
    answers: str | None = None  # the column of those answers; None where there are none, as of running text
    only: Paired | None = None  # of classes: what only the first, and only the second got right


def compare(first: Row, second: Row, one: Columns, other: Columns) -> Comparison:
    """Compare two runs, given their rows and columns of predictions in the same order of ids."""
    check_comparable(first, second)
    check_examples(first, second, one, other)
    answers = next((name for name in ("prediction", "text") if name in one and name in other), None)
    odd = (
        [] if answers is None else [str(one["id"][i]) for i in np.flatnonzero(one[answers] != other[answers])]
    )
    runs, names = (first["run_id"], second["run_id"]), (str(first["name"]), str(second["name"]))
    n, draws = len(one["id"]), draws_for(len(one["id"]))
    found = list(_differences(one, other, draws))
    return Comparison(runs, names, n, draws, found, odd, answers, _only(one, other))


def draws_for(n: int) -> int:
    """Return how often examples are drawn: less often where there are many."""
    return min(DRAWS, max(FEWEST, WORK // n))


def check_comparable(first: Row, second: Row) -> None:
    """Refuse two runs that were not measured alike, and say in what."""
    for row in (first, second):
        if row.measured is None:
            raise BadConfig(
                f"run {row['run_id']} has no score that says what it was measured on: run it again"
            )
    assert first.measured
    assert second.measured
    odd = [part for part, place in PARTS.items() if first.measured[place] != second.measured[place]]
    if odd:
        raise BadConfig(
            f"runs {first['run_id']} and {second['run_id']} do not compare, they differ in {', '.join(odd)}: "
            "choose two runs of one block of a table"
        )


def check_examples(first: Row, second: Row, one: Columns, other: Columns) -> None:
    """Refuse files whose examples or labels are not the same, whatever the records say."""
    runs = f"the predictions of runs {first['run_id']} and {second['run_id']}"
    if not np.array_equal(one["id"], other["id"]):
        differ = len(set(one["id"]) ^ set(other["id"]))
        raise BadConfig(
            f"{runs} are of other examples ({differ} ids are in one alone): check both with verify"
        )
    for name in ("label", "reference", "tokens"):
        if name in one and name in other and (odd := int((one[name] != other[name]).sum())):
            raise BadConfig(
                f"{runs} differ in the {name} of {odd} examples: check both with tunesweep verify"
            )


def _only(one: Columns, other: Columns) -> Paired | None:
    if not {"label", "prediction"} <= set(one) & set(other):
        return None
    return mcnemar(*((part["label"] == part["prediction"]).tolist() for part in (one, other)))


def _differences(one: Columns, other: Columns, draws: int) -> Iterator[Difference]:
    n = len(one["id"])
    for name, measure in _measures(one, other):
        known = _known(name, one, other)
        if not len(known):
            continue
        rows = known, known + n
        values = [float(measure(part, axis=-1)) for part in rows]
        low, high = _interval(measure, *rows, draws)
        exact = _only(one, other) if name == "accuracy" else None
        p = permutation(*rows, measure, draws) if exact is None else exact.p
        test = "permutation" if exact is None else "exact McNemar"
        yield Difference(name, values[0], values[1], low, high, p, test)


def _known(name: str, one: Columns, other: Columns) -> Array:
    """Return which examples have a score in both: without a number in its reference none is numeric."""
    there = np.ones(len(one["id"]), bool)
    for part in (one, other):
        there &= ~np.isnan(part[name].astype(float)) if name in TEXTS else True
    return np.flatnonzero(there)


def _interval(measure: Measure, one: Array, other: Array, draws: int) -> tuple[float, float]:
    """Return the interval of a difference; of one example there is none to draw."""
    if len(one) < 2:
        return float("-inf"), float("inf")
    return bootstrap(one, other, measure, draws)


def _measures(one: Columns, other: Columns) -> Iterator[tuple[str, Measure]]:
    """Yield the metrics that both files carry, over the rows of one above those of the other."""
    both = {name: np.concatenate([one[name], other[name]]) for name in one if name in other}
    if {"label", "prediction"} <= set(both):
        yield from _of_classes(both)
    if {"nll", "tokens"} <= set(both):
        yield "perplexity", measures.perplexity(both["nll"].astype(float), both["tokens"].astype(float))
    for name in TEXTS:
        if name in both:
            yield name, measures.mean(both[name].astype(float))


def _of_classes(both: dict[str, Array]) -> Iterator[tuple[str, Measure]]:
    names = sorted(
        {str(label) for label in both["label"]} | {key[2:] for key in both if key.startswith("p:")}
    )
    labels, predicted = (_numbers(both[key], names) for key in ("label", "prediction"))
    yield "accuracy", measures.mean((labels == predicted).astype(float))
    yield "macro_f1", measures.macro_f1(labels, predicted, len(names))
    yield "balanced_accuracy", measures.balanced_accuracy(labels, predicted, len(names))
    if "loss" in both:
        yield "log_loss", measures.mean(both["loss"].astype(float))
    if sure := [both[f"p:{name}"] for name in names if f"p:{name}" in both]:
        confidence = np.stack(sure).max(axis=0).astype(float)
        yield "calibration_error", measures.calibration_error(confidence, labels == predicted)


def _numbers(values: Array, names: list[str]) -> Array:
    """Return classes as numbers; what is none of them, as an answer that cannot be read, is -1."""
    known = {name: number for number, name in enumerate(names)}
    return np.array([known.get(str(value), -1) for value in values], int)


def as_dict(found: Comparison) -> dict[str, Any]:
    """Return everything as plain values."""
    only = None if found.only is None else {"first": found.only.b, "second": found.only.c}
    return {
        "runs": list(found.runs),
        "names": list(found.names),
        "n": found.n,
        "draws": found.draws,
        "metrics": [
            vars(each) | {"difference": each.value, "better": each.better} for each in found.differences
        ],
        "answers": found.answers,
        "answered_differently": found.odd,
        "right_only": only,
    }
