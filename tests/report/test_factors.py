from __future__ import annotations

import pytest

from tunesweep.report.rows import Row
from tunesweep.report.table import table


def notes(records, declared=()):
    (block,) = table("s1", [Row.from_record(record) for record in records], declared=declared).blocks
    return block.notes


@pytest.mark.parametrize(
    ("key", "values"),
    [("encoding__max_length", (128, 64)), ("train__epochs", (2, 3)), ("dataset__limit__train", (2000, 100))],
)
def test_an_undeclared_difference_is_named(record, key, values):
    records = [record(name, **{key: value}) for name, value in zip("ab", values, strict=True)]
    field = key.replace("__", ".")
    (found,) = [note for note in notes(records) if note.startswith("Warning")]
    assert found.startswith(f"Warning: {field} differs (")
    assert {str(value) for value in values} == set(found.partition("(")[2].partition(")")[0].split(", "))
    for declared in (field, field.split(".")[0]):
        assert not [note for note in notes(records, [declared]) if note.startswith("Warning")]


def test_rates_and_what_a_row_does_not_have_are_no_such_difference(record):
    full = record("b", "full", None)
    del full.config["train"]["epochs"]
    assert not [note for note in notes([record("a"), full]) if note.startswith("Warning")]


def test_other_software_is_named_and_shown(record):
    first, second = record("a"), record("b", train__epochs=2)
    for one, version in ((first, "2.12.1"), (second, "2.13.0")):
        one.provenance = {"versions": {"torch": version}}
    found = notes([first, second], ["train"])
    assert any("Warning: torch differs (2.12, 2.13)" in note for note in found)
    (block,) = table("s1", [Row.from_record(one) for one in (first, second)]).blocks
    assert "torch" in [column.header for column in block.columns]


def test_costs_of_other_executors_do_not_compare(record):
    first, second = record("a"), record("b", train__epochs=3)
    second.runtime["executor"] = "worker"
    assert (
        "Minutes and memory compare only between rows of one executor: here are in process, worker."
        in notes([first, second])
    )
