"""What a table says of rows that look like results and are none: one answer, few steps, an interruption."""

from __future__ import annotations

from typing import Any

import pytest

from tunesweep.report.learned import one_answer
from tunesweep.report.rows import Row
from tunesweep.report.table import table


def block_of(*records: Any) -> Any:
    (block,) = table("s1", [Row.from_record(record) for record in records]).blocks
    return block


def classified(record: Any, run_id: str, confusion: Any, method: str = "lora", **changes: Any) -> Any:
    found = record(run_id, method, **changes)
    found.metrics["learned"] = True
    found.metrics["test"] |= {"confusion": confusion, "n": 1000}
    found.data["labels"] = ["rotten", "fresh"]
    return found


@pytest.mark.parametrize(
    ("confusion", "found"),
    [
        ([[0, 422], [0, 578]], "fresh"),
        ([[422, 0], [578, 0]], "rotten"),
        ([[1, 421], [0, 578]], None),
        ([[0, 0], [0, 1000]], None),  # the test split has one class: nothing else is to be said
        ([[0, 422], [0, 178]], None),  # others could not be read
        ([[0, 422, 0], [0, 578, 0]], None),
        (None, None),
    ],
)
def test_one_answer_is_a_column_with_every_example(record: Any, confusion: Any, found: str | None) -> None:
    assert one_answer(classified(record, "a", confusion)) == found


def test_a_record_without_labels_is_a_row_all_the_same(record: Any) -> None:
    odd = classified(record, "a", [[0, 422], [0, 578]])
    del odd.data["labels"]
    assert Row.from_record(odd)["learned"] is True


def test_a_row_that_gives_one_answer_has_not_learned_whatever_its_score(record: Any) -> None:
    constant = classified(record, "a", [[0, 422], [0, 578]])
    block = block_of(constant, classified(record, "b", [[400, 22], [100, 478]], "qlora"))
    assert [row["outcome"] for row in block.rows] == ["succeeded, not learned", "succeeded"]
    assert "'fresh' was said of every example (1 of 2 runs)." in block.notes
    assert any(note.startswith("Not learned: ") for note in block.notes)


@pytest.mark.parametrize(
    ("low", "found"),
    [(0.57, "succeeded, not learned"), (0.578, "succeeded, not learned"), (0.579, "succeeded")],
)
def test_a_row_that_may_be_no_better_than_the_most_frequent_class_has_not_learned(
    record: Any, low: float, found: str
) -> None:
    """Whatever its untrained head came to: 578 of 1,000 examples are fresh."""
    near = classified(record, "a", [[100, 322], [58, 520]])
    near.metrics["test"]["interval"] = [low, 0.65]
    assert block_of(near).rows[0]["outcome"] == found


def test_where_answers_could_not_be_read_or_some_classes_were_learned_that_is_not_asked(record: Any) -> None:
    unread = classified(record, "a", [[25, 0], [5, 10]])  # 960 of 1,000 have no column
    special = classified(record, "b", [[100, 322], [58, 520]])
    for each in (unread, special):
        each.metrics["test"]["interval"] = [0.3, 0.4]
    special.metrics["specialisation"] = {}
    odd = classified(record, "c", [[100, 322], [58, 520]])
    odd.metrics["test"]["interval"] = [None, None]
    assert [Row.from_record(each)["learned"] for each in (unread, special, odd)] == [True, True, True]


def test_a_rate_that_was_chosen_for_another_method_is_said(record: Any) -> None:
    source = "as conf/method/lora.yaml, not tuned for this method"
    rows = [record("a", "hra"), record("b", "lora")]
    rows[0].config["method"]["budget"] = {"source": source}
    said = "method=hra has a rate that was not chosen for it"
    assert [note for note in block_of(*rows).notes if note.startswith(said)]
    rows[0].runtime["lr_by_hand"] = True
    assert not [note for note in block_of(*rows).notes if note.startswith(said)]


def test_of_several_seeds_each_run_is_counted(record: Any) -> None:
    seeds = [classified(record, f"s{seed}", [[400, 22], [100, 478]], seed=seed) for seed in (0, 1)]
    block = block_of(*seeds, classified(record, "s2", [[0, 422], [0, 578]], seed=2))
    assert len(block.rows) == 1
    assert "'fresh' was said of every example (1 of 3 runs)." in block.notes
    assert any(note.startswith("Not learned: ") for note in block.notes)


def test_few_steps_are_said_of_what_is_trained(record: Any) -> None:
    def trained(name: str, method: str, epochs: int) -> Any:
        found = record(name, method, train__epochs=epochs, train__batch_size=32, method__trained=True)
        found.data["rows"] = {"train": 330, "select": 30, "test": 1000}
        found.cost["epochs"] = epochs
        return found

    said = [
        note for note in block_of(trained("a", "lora", 2), trained("b", "qlora", 5)).notes if "steps" in note
    ]
    assert said == [  # 11 batches an epoch
        "1 of 2 runs took fewer than 50 steps (22), too few to judge a method by: train.epochs=15, "
        "say, takes more."
    ]


def test_an_interrupted_run_is_no_failure_of_its_own(record: Any, failed: Any) -> None:
    stopped = failed(record("a"))
    stopped.failure = {"class": "interrupted", "message": "stopped after step 24", "log": ""}
    found = table("s1", [Row.from_record(stopped), Row.from_record(record("b", "qlora"))])
    assert [row["outcome"] for block in found.blocks for row in block.rows].count("interrupted") == 1
    notes = [note for block in found.blocks for note in block.notes] + list(found.notes)
    assert "interrupted: lora r=8: stopped after step 24" in notes
