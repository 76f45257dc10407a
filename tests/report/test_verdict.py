from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from tunesweep.report.rows import Row
from tunesweep.report.seeds import merge
from tunesweep.report.verdict import METHODS, RUNS, judge

N = 1000


class Bench:
    """Runs that were drawn: records, and the scores of their examples."""

    def __init__(self, record) -> None:
        self.record, self.scores, self.runs = record, {}, []
        self.rng = np.random.default_rng(0)
        self.easy = self.rng.random(N)

    def add(self, method: str, accuracies: list[float]) -> None:
        for seed, accuracy in enumerate(accuracies):
            made = self.record(f"{method}{seed}", method, seed=seed, right=round(accuracy * N))
            made.name = f"method={method} seed={seed}"
            noisy = self.easy + self.rng.normal(0, 0.1, N)
            self.scores[made.run_id] = (np.argsort(np.argsort(noisy)) < round(accuracy * N)).astype(float)
            self.runs.append(Row.from_record(made))

    def judge(self):
        return judge(merge(self.runs), lambda row: self.scores.get(row["run_id"]))


@pytest.fixture
def bench(record) -> Bench:
    return Bench(record)


def tied(found) -> dict[str, str]:
    return {row["method"]: row["tied"] for row in found.rows}


def test_three_seeds_answer_whether_methods_differ(bench):
    bench.add("lora", [0.80, 0.81, 0.82])
    bench.add("qlora", [0.81, 0.80, 0.815])
    bench.add("bitfit", [0.60, 0.61, 0.605])
    found = bench.judge()
    assert found.question == METHODS
    assert tied(found) == {"lora": "a", "qlora": "a", "bitfit": "b"}
    assert any("as methods, seeds and examples drawn at random" in note for note in found.notes)
    assert any(note.startswith("method=lora and method=qlora are tied at the top") for note in found.notes)
    lora = found.rows[0]
    assert lora["spread"] == pytest.approx(np.std([0.80, 0.81, 0.82], ddof=1))
    assert lora["score"] == pytest.approx(0.81)
    assert lora["low"] < 0.81 < lora["high"]
    assert sum(row["best"] for row in found.rows) == pytest.approx(1)


def test_one_seed_answers_whether_these_runs_differ(bench):
    bench.add("lora", [0.80])
    bench.add("qlora", [0.70])
    found = bench.judge()
    assert found.question == RUNS
    a, b = (bench.scores[name] > 0 for name in ("lora0", "qlora0"))
    only = int((a & ~b).sum()), int((~a & b).sum())
    assert list(found.p_values.values()) == [pytest.approx(binomtest(only[0], sum(only)).pvalue)]
    assert any(
        "as these runs" in note and "McNemar" in note and "takes 3 seeds" in note for note in found.notes
    )


def test_two_seeds_are_no_statement_on_methods(bench):
    bench.add("lora", [0.80, 0.81])
    bench.add("qlora", [0.70, 0.71])
    found = bench.judge()
    assert found.question == RUNS
    assert any("paired permutation" in note for note in found.notes)


def test_rows_of_few_seeds_are_left_out_and_named(bench):
    for method, seeds in (("lora", 3), ("qlora", 4), ("full", 2)):
        bench.add(method, [0.8 + 0.001 * seed for seed in range(seeds)])
    found = bench.judge()
    assert tied(found) == {"lora": "a", "qlora": "a", "full": None}
    assert any(note.startswith("1 of 3 rows have fewer than 3 seeds") for note in found.notes)


def test_a_prompted_row_needs_no_seeds(bench):
    bench.add("lora", [0.80, 0.81, 0.82])
    bench.add("zero_shot", [0.5])
    bench.runs[-1].settings["method.trained"] = False
    assert tied(bench.judge()) == {"lora": "a", "zero_shot": "b"}


@pytest.mark.parametrize(
    ("seeds", "said"), [([0.80, 0.70, 0.75], "seeds each."), ([0.75], "about 17 seeds.")]
)
def test_seeds_that_would_tell_are_of_each_row_that_is_not_fixed(bench, seeds, said):
    bench.add("lora", [0.90, 0.74, 0.80])
    bench.add("other", seeds)
    if len(seeds) == 1:
        bench.runs[3].settings["method.trained"] = False
    (apart,) = (note for note in bench.judge().notes if "to tell them apart takes" in note)
    assert apart.endswith(said)


def test_rows_without_predictions_are_not_compared(bench):
    for method in ("lora", "qlora", "full"):
        bench.add(method, [0.8])
    del bench.scores["full0"]
    found = bench.judge()
    assert tied(found) == {"lora": "a", "qlora": "a", "full": None}
    assert any(note.startswith("1 of 3 rows have no readable predictions") for note in found.notes)


@pytest.mark.parametrize("seeds", [1, 3])
def test_of_one_scored_example_nothing_is_compared(bench, seeds):
    bench.add("lora", [0.8] * seeds)
    bench.add("qlora", [0.7] * seeds)
    bench.scores = {
        name: np.array([float(name.startswith("lora") and not name.endswith("1"))]) for name in bench.scores
    }
    found = bench.judge()
    assert (found.question, found.p_values) == (None, {})
    assert tied(found) == {"lora": None, "qlora": None}
    assert [row["best"] for row in found.rows] == [None, None]
    assert found.notes == [
        "Rows are not compared: there is one scored example, which says nothing of others."
    ]
    if seeds > 1:
        assert found.rows[0]["spread"] == pytest.approx(np.std([1, 0, 1], ddof=1))
        assert found.rows[0]["interval"] is None


def test_predictions_that_were_cut_short_are_not_compared(bench):
    for method in ("lora", "qlora", "full"):
        bench.add(method, [0.8])
    bench.scores["full0"] = bench.scores["full0"][:-1]
    assert tied(bench.judge()) == {"lora": "a", "qlora": "a", "full": None}


def test_of_perplexity_the_lower_is_better_and_the_mean_is_of_losses(bench, written):
    losses = {"a": [2.0, 2.1, 2.2], "b": [3.0, 3.1, 3.2]}
    for place, (name, means) in enumerate(losses.items()):
        for seed, mean in enumerate(means):
            made = written(f"{name}{seed}", "text", "token", seed=seed, train__epochs=2 + place)
            made.name = name
            made.metrics["test"]["perplexity"] = float(np.exp(mean))
            bench.runs.append(Row.from_record(made))
            bench.scores[made.run_id] = mean + np.random.default_rng(0).normal(0, 0.5, N)
            bench.scores[made.run_id] += mean - bench.scores[made.run_id].mean()
    first, second = bench.judge().rows
    assert (first["tied"], second["tied"]) == ("a", "b")
    assert first["score"] == pytest.approx(np.exp(2.1))
    assert first["low"] < np.exp(2.1) < first["high"]
    assert first["best"] > 0.99


def test_more_rows_than_can_be_compared_say_so(bench):
    for number in range(61):
        bench.add(f"m{number}", [0.8])
    found = bench.judge()
    assert found.question is None
    assert found.notes == [
        "61 rows are too many to be compared each with each (at most 60): "
        "narrow them with --where KEY=VALUE or --sweep ID."
    ]


@pytest.mark.parametrize(("share", "ends"), [(1.0, (0.9962, 1.0)), (0.0, (0.0, 0.0038))])
def test_where_all_is_right_or_wrong_the_interval_is_not_a_point(bench, share, ends):
    """Nothing spreads, and yet 1,000 examples do not say more than Wilson's interval of them."""
    bench.add("lora", [share, share, share])
    row = bench.judge().rows[0]
    low, high = binomtest(round(share * N), N).proportion_ci(method="wilson")
    assert (row["low"], row["high"]) == pytest.approx((low, high), abs=1e-12)
    assert (row["low"], row["high"]) == pytest.approx(ends, abs=1e-4)
