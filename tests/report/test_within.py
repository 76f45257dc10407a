from __future__ import annotations

import numpy as np
import pytest

from tunesweep.report.rows import Row
from tunesweep.report.seeds import merge
from tunesweep.report.table import table
from tunesweep.report.within import conclusions

N = 1000
KEY = "dataset.limit.train"


class Study:
    """Runs of methods at several numbers of training examples, three seeds each, and their scores."""

    def __init__(self, record, written) -> None:
        self.record, self.written, self.scores, self.runs = record, written, {}, []
        self.rng = np.random.default_rng(0)
        self.easy = self.rng.random(N)

    def add(self, method: str, examples: int, accuracies: list[float], **changes) -> None:
        for seed, accuracy in enumerate(accuracies):
            run_id = f"{method}{examples}{seed}{len(changes)}"
            made = self.record(run_id, method, seed=seed, dataset__limit={"train": examples}, **changes)
            made.name = f"method={method} {KEY}={examples} seed={seed}"
            self._keep(made, right=round(accuracy * N))

    def _keep(self, made, right: int) -> None:
        noisy = self.easy + self.rng.normal(0, 0.1, N)
        self.scores[made.run_id] = (np.argsort(np.argsort(noisy)) < right).astype(float)
        made.metrics["test"]["accuracy"] = right / N
        self.runs.append(Row.from_record(made))

    def add_text(self, method: str, examples: int, loss: float) -> None:
        made = self.written(f"{method}{examples}", "wiki", "token", dataset__limit={"train": examples})
        made.name = f"method={method} {KEY}={examples}"
        made.metrics["test"]["perplexity"] = float(np.exp(loss))
        self.scores[made.run_id] = loss + self.easy
        self.runs.append(Row.from_record(made))

    def read(self, row):
        return self.scores.get(row["run_id"])

    def concluded(self, key: str | None = KEY, apart=()) -> list[str]:
        return list(conclusions(merge(self.runs), key, apart, self.read))


@pytest.fixture
def study(record, written) -> Study:
    return Study(record, written)


def test_leaders_at_each_size_and_what_more_examples_give(study):
    study.add("lora", 100, [0.60, 0.61, 0.60])
    study.add("full", 100, [0.40, 0.41, 0.40])
    study.add("lora", 1000, [0.80, 0.81, 0.80])
    study.add("full", 1000, [0.80, 0.80, 0.81])
    study.add("lora", 3000, [0.81, 0.80, 0.80])
    study.add("full", 3000, [0.70, 0.70, 0.71])
    assert study.concluded() == [
        f"{KEY} 100, as methods: best: method=lora 0.603; behind: method=full 0.403.",
        f"{KEY} 1,000, as methods: best: method=lora 0.803; not told from it: method=full 0.803.",
        f"{KEY} 3,000, as methods: best: method=lora 0.803; behind: method=full 0.703.",
        f"method=lora along {KEY}: 100 to 1,000 better; 1,000 to 3,000 no difference shown.",
        f"method=full along {KEY}: 100 to 1,000 better; 1,000 to 3,000 worse.",
    ]


def test_one_seed_speaks_of_these_runs(study):
    study.add("lora", 100, [0.60])
    study.add("full", 100, [0.40])
    study.add("lora", 1000, [0.80])
    study.add("full", 1000, [0.40])
    assert (
        study.concluded()[0]
        == f"{KEY} 100, as these runs: best: method=lora 0.600; behind: method=full 0.400."
    )


def test_of_perplexities_the_lower_is_the_better(study):
    for method, losses in {"lora": (3.0, 2.0), "full": (3.5, 2.5)}.items():
        for examples, loss in zip((100, 1000), losses, strict=True):
            study.add_text(method, examples, loss)
    first, *_, along, _ = study.concluded()
    assert first == f"{KEY} 100, as these runs: best: method=lora 20.09; behind: method=full 33.12."
    assert along == f"method=lora along {KEY}: 100 to 1,000 better."


def test_what_was_tuned_or_goes_with_the_size_does_not_split_a_line(study):
    study.add("lora", 100, [0.60, 0.61, 0.60], train__epochs=10)
    study.add("lora", 1000, [0.80, 0.81, 0.80], train__epochs=2)
    for run in study.runs:
        run.values["name"] += f" train.epochs={run['train.epochs']}"
    assert study.concluded() == []  # two lines of one row each
    for apart in ("train.epochs", "train"):
        assert study.concluded(apart=[apart]) == [f"method=lora along {KEY}: 100 to 1,000 better."]


def test_two_rows_of_one_name_and_value_are_no_line(study):
    study.add("lora", 100, [0.60, 0.61, 0.60])
    study.add("lora", 100, [0.70, 0.71, 0.70], train__epochs=9)
    study.add("lora", 1000, [0.80, 0.81, 0.80])
    assert study.concluded() == []


def test_nothing_is_said_unasked_or_of_one_value(study):
    study.add("lora", 100, [0.60])
    study.add("full", 100, [0.40])
    assert study.concluded() == []
    study.add("lora", 1000, [0.60])
    assert study.concluded(None) == []
    assert study.concluded("method.name") == []  # no number


def test_the_table_says_it_below_each_block(study):
    study.add("lora", 100, [0.60, 0.61, 0.60])
    study.add("lora", 1000, [0.80, 0.81, 0.80])
    found = table("study", study.runs, within=KEY, read=study.read)
    assert f"method=lora along {KEY}: 100 to 1,000 better." in found.blocks[0].notes
    assert not any("along" in note for note in table("s", study.runs, read=study.read).blocks[0].notes)


def test_what_the_command_sweeps_is_no_reason_to_join_lines(study):
    for method in ("lora", "full"):
        study.add(method, 100, [0.60, 0.61, 0.60])
        study.add(method, 1000, [0.80, 0.81, 0.80])
    (block,) = table("s", study.runs, declared=["method", KEY], within=KEY, read=study.read).blocks
    assert [
        f"method={method} along {KEY}: 100 to 1,000 better." in block.notes for method in ("lora", "full")
    ] == [
        True,
        True,
    ]
