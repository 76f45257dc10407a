from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from tunesweep.report.fronts import FRONT, TIED, fronts
from tunesweep.report.rows import Row
from tunesweep.report.verdict import Verdict

METHODS = ["lora"]


@pytest.fixture
def judged(record):
    """Return the verdict on rows of given scores and bytes in memory."""

    def judge(scores, costs, p_values=None):
        rows = []
        for place, (score, cost) in enumerate(zip(scores, costs, strict=True)):
            made = record(f"r{place}", "lora", 8, round(score * 1000))
            made.cost, made.parameters = {"memory_bytes": cost}, {}
            rows.append(Row.from_record(made))
        return Verdict(rows, p_values=p_values or {})

    return judge


def marks(verdict):
    (picture,) = fronts(verdict, METHODS)
    return [point.mark for series in picture.series for point in series.points]


def test_the_front_is_what_no_cheaper_row_beats(judged):
    verdict = judged([0.70, 0.80, 0.75, 0.80], [100, 200, 300, 250])
    apart = dict.fromkeys([(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)], 0.0)
    assert marks(Verdict(verdict.rows, p_values=apart)) == [FRONT, FRONT, "", ""]
    (picture,) = fronts(verdict, METHODS)
    assert [(point.x, point.y) for point in picture.front] == [(100, 0.70), (200, 0.80)]


def test_the_front_agrees_with_a_brute_force(judged):
    rng = np.random.default_rng(0)
    scores, costs = rng.integers(500, 520, 40) / 1000, rng.integers(1, 20, 40).tolist()
    verdict = judged(scores, costs)
    better = lambda a, b: (  # noqa: E731
        scores[a] >= scores[b] and costs[a] <= costs[b] and (scores[a], costs[a]) != (scores[b], costs[b])
    )
    beaten = {b for a, b in product(range(40), repeat=2) if better(a, b)}
    found = marks(verdict)
    assert {place for place, mark in enumerate(found) if mark != FRONT} == beaten
    assert 0 < len(beaten) < 40


def test_a_row_tied_with_all_that_beat_it_is_not_told_from_the_front(judged):
    scores, costs = [0.80, 0.79, 0.78], [100, 200, 300]
    tied, apart = 0.3, 0.01
    assert marks(judged(scores, costs, {(0, 1): tied, (0, 2): tied, (1, 2): tied})) == [FRONT, TIED, TIED]
    assert marks(judged(scores, costs, {(0, 1): tied, (0, 2): apart, (1, 2): tied})) == [FRONT, TIED, ""]


def test_rows_that_were_not_compared_go_by_their_intervals(judged):
    assert marks(judged([0.80, 0.79, 0.60], [100, 200, 300])) == [FRONT, TIED, ""]  # 1,000 examples each


def test_of_perplexity_the_lower_is_better(written):
    rows = []
    for place, (score, cost) in enumerate([(20.0, 100), (30.0, 50), (40.0, 200)]):
        made = written(f"t{place}", "text", "token", method="lora")
        made.metrics["test"] |= {"perplexity": score, "interval": [score - 1, score + 1]}
        made.cost, made.parameters = {"memory_bytes": cost}, {}
        rows.append(Row.from_record(made))
    assert marks(Verdict(rows)) == [FRONT, FRONT, ""]


def test_rows_without_a_cost_are_counted(judged):
    verdict = judged([0.7, 0.8, 0.9], [100, 200, None])
    (picture,) = fronts(verdict, METHODS)
    assert picture.notes[-1] == "1 of 3 rows have no such cost."
    assert list(fronts(judged([0.7, 0.8], [None, 100]), METHODS)) == []
