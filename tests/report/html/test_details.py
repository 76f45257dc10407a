from __future__ import annotations

import pytest
from sklearn.metrics import confusion_matrix

from tunesweep.report.html import details
from tunesweep.report.rows import Row
from tunesweep.report.seeds import merge


def test_confusion_is_summed_over_seeds_and_scores_are_means(record):
    runs, truth = [], ["fresh", "rotten", "rotten", "fresh"]
    answers = (["fresh", "rotten", "fresh", "fresh"], ["rotten", "rotten", "rotten", "fresh"])
    for seed, said in enumerate(answers):
        made = record(f"s{seed}", seed=seed)
        matrix = confusion_matrix(truth, said, labels=["fresh", "rotten"]).tolist()
        scores = {"fresh": {"precision": 0.5 + seed / 4, "recall": 1, "f1-score": 1, "support": 2}}
        made.metrics["test"] |= {"confusion": matrix, "per_class": scores}
        runs.append(made)
    rows = merge([Row.from_record(run) for run in runs])
    (found,) = details.classes(rows, {run.run_id: run for run in runs})
    both = confusion_matrix(truth * 2, [*answers[0], *answers[1]], labels=["fresh", "rotten"])
    assert found["confusion"] == both.tolist()
    assert (found["row"], found["runs"], found["labels"]) == (1, 2, ["fresh", "rotten"])
    assert found["classes"] == [[0.625, 1, 1, 2], [None] * 4]


def test_a_label_may_hold_a_dot(record):
    made = record("a")
    made.data["labels"] = ["St. Louis", "other"]
    made.metrics["test"]["per_class"] = {"St. Louis": {"precision": 0.25}}
    (found,) = details.classes([Row.from_record(made)], {"a": made})
    assert found["classes"][0] == [0.25, None, None, None]


@pytest.mark.parametrize("matrix", [None, [], [[1, 2]], [[1, 2], 3], [[1], [2]], "none"])
def test_what_is_no_matrix_of_the_labels_is_passed_over(record, matrix):
    made = record("a")
    made.metrics["test"]["confusion"] = matrix
    assert details.classes([Row.from_record(made)], {"a": made}) == []


def test_facts_say_how_many_runs_they_hold_for(record):
    runs = [record(name) for name in "abc"]
    for run, torch in zip(runs, ("2.12", "2.13", "2.13"), strict=True):
        run.provenance = {"versions": {"torch": torch}, "model_fingerprint": "x" * 64, "device": None}
    found = {fact.name: fact.values for fact in details.provenance(runs)}
    assert found == {"torch": (("2.13", 2), ("2.12", 1)), "data (fingerprint)": (("d1", 3),)}
