from __future__ import annotations

from math import log2

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tunesweep.report.html import disputed
from tunesweep.report.html.disputed import dispute
from tunesweep.report.rows import Row
from tunesweep.report.seeds import merge

LABELS = ["x", "x", "y", "y"]


@pytest.fixture
def rows(store, record):
    """Return rows whose runs answered so: name -> answers of each seed, as texts of one letter each."""

    def answer(said, ids=("1", "2", "3", "4")):
        runs = []
        for place, (name, seeds) in enumerate(said.items()):
            for seed, answers in enumerate(seeds):
                made = record(f"{name}{seed}", seed=seed, train__epochs=place)
                made.artefacts = {"predictions": f"predictions/{made.run_id}.parquet"}
                path = store.path("predictions", made.run_id)
                path.parent.mkdir(parents=True, exist_ok=True)
                table = {
                    "id": ids[: len(answers)],
                    "label": LABELS[: len(answers)],
                    "prediction": list(answers),
                }
                pq.write_table(pa.table(table), path)
                runs.append(Row.from_record(made))
        return merge(runs)

    return answer


def test_the_most_divided_examples_come_first(store, rows):
    found = dispute(store, rows({"a": ["xxyy"], "b": ["xxyx"], "c": ["xyxx"], "d": ["xyzx"]}))
    assert [example.id for example in found.examples] == ["3", "2", "4"]
    assert (found.differing, found.total, found.rows) == (3, 4, (0, 1, 2, 3))
    third = found.examples[0]
    assert third.label == "y"
    assert [(answer.text, answer.right) for answer in third.answers] == [
        ("y", True),
        ("y", True),
        ("x", False),
        ("z", False),
    ]


def test_entropy_is_that_of_the_definition():
    import numpy as np

    found = disputed._entropy(np.array([[2, 1, 1], [4, 0, 0], [2, 2, 0]]))
    by_hand = -(0.5 * log2(0.5) + 2 * 0.25 * log2(0.25))
    assert found == pytest.approx([by_hand, 0, 1])


def test_of_several_seeds_stands_what_most_say(store, rows):
    found = dispute(store, rows({"a": ["xxyy", "xyyy", "xxyx"], "b": ["yxyy"]}))
    (example,) = found.examples
    assert example.id == "1"
    assert [(answer.text, answer.share) for answer in example.answers] == [("x", ""), ("y", "")]
    twice = dispute(store, rows({"a": ["yxyy", "xxyy", "xxyy"], "b": ["yxyy"]}))
    assert [answer.share for answer in twice.examples[0].answers] == ["2/3", ""]


def test_at_most_so_many_examples_are_shown(store, rows, monkeypatch):
    monkeypatch.setattr(disputed, "MOST", 2)
    found = dispute(store, rows({"a": ["xxyy"], "b": ["yyxx"]}))
    assert len(found.examples) == 2
    assert found.differing == 4


def test_a_file_that_was_cut_short_is_not_asked(store, rows):
    found = dispute(store, rows({"a": ["xxyy"], "b": ["yxyy"], "c": ["xx"]}))
    assert found.rows == (0, 1)


def test_one_row_disagrees_with_nobody(store, rows, record):
    assert dispute(store, rows({"a": ["xxyy"]})) is None
    assert dispute(store, [Row.from_record(record("none"))]) is None
    assert dispute(store, []) is None


def test_files_that_are_gone_or_broken_are_passed_over(store, rows):
    some = rows({"a": ["xxyy"], "b": ["yxyy"], "c": ["yyyy"]})
    store.path("predictions", "b0").write_bytes(b"broken")
    assert dispute(store, some).rows == (0, 2)
    store.path("predictions", "c0").unlink()
    assert dispute(store, some) is None
