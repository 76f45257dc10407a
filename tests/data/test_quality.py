"""Counting what is odd: by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tunesweep.config import DatasetConfig
from tunesweep.data.examples import Examples, Splits
from tunesweep.data.quality import quality, warnings
from tunesweep.data.rows import running


def part(split: str, inputs: Any, labels: str, groups: str | None = None) -> Examples:
    ids = [f"{split}-{row}" for row in range(len(labels))]
    return Examples(ids=ids, inputs=inputs, labels=list(labels), groups=list(groups) if groups else None)


def test_counts_of_texts() -> None:
    splits = Splits(
        train=part("train", ["a", "a", "a", " \n", "b"], "xyxxy", "12223"),
        select=part("select", ["b", "c"], "xy", "45"),
        test=part("test", ["a", "a", "", "d", "A"], "xyxyx", "13678"),
        labels=["x", "y"],
    )
    assert quality(splits, {"train": 0.25}) == {
        "rows": {"train": 5, "select": 2, "test": 5},
        "empty": {"train": 1, "select": 0, "test": 1},
        "empty_answers": {"train": 0, "select": 0, "test": 0},
        "converted": {"train": 0, "select": 0, "test": 0},
        "duplicates": {"train": 2, "select": 0, "test": 1},
        "overlap_with_train": {"select": 1, "test": 2},
        "overlap_of_test_with_select": 0,
        "groups_shared_with_train": {"select": 0, "test": 2},
        "classes": {"x": 3, "y": 2},
        "truncated": {"train": 0.25},
        "unread": [],
    }


def test_a_pair_is_the_same_only_as_a_whole() -> None:
    splits = Splits(
        train=part("train", [("a", "b"), ("a", "c")], "xy"),
        select=part("select", [("b", "a")], "x"),
        test=part("test", [("a", "b"), ("a", "")], "xy"),
        labels=["x", "y"],
    )
    found = quality(splits)
    assert found["overlap_with_train"] == {"select": 0, "test": 1}
    assert found["duplicates"]["train"] == 0
    assert found["empty"] == {"train": 0, "select": 0, "test": 1}


def test_images_are_compared_pixel_by_pixel() -> None:
    first, second = np.zeros((2, 2), dtype=np.uint8), np.eye(2, dtype=np.uint8)
    splits = Splits(
        train=part("train", np.stack([first, first]), "xy"),
        select=part("select", np.stack([second]), "x"),
        test=part("test", np.stack([first, second]), "xy"),
        labels=["x", "y"],
        value_range=(0.0, 1.0),
    )
    found = quality(splits)
    assert found["duplicates"] == {"train": 1, "select": 0, "test": 0}
    assert found["overlap_with_train"] == {"select": 0, "test": 1}
    assert found["empty"] == {"train": 0, "select": 0, "test": 0}


def test_a_comparison_is_the_same_in_either_order() -> None:
    splits = Splits(
        train=part("train", [("p", "one", "two"), ("p", "two", "one"), ("q", "", "one")], "xyx"),
        select=part("select", [("q", "one", "")], "y"),
        test=part("test", [("p", "two", "one"), ("two", "one", "p")], "xy"),
        labels=["x", "y"],
    )
    found = quality(splits)
    assert found["overlap_with_train"] == {"select": 1, "test": 1}
    assert found["duplicates"] == {"train": 0, "select": 0, "test": 0}  # learnt in both orders on purpose
    assert found["empty"] == {"train": 1, "select": 1, "test": 0}


def test_an_instruction_may_come_without_an_input_but_not_without_an_answer() -> None:
    def told(split: str, *rows: tuple[str, str, str]) -> Examples:
        ids = [f"{split}-{row}" for row in range(len(rows))]
        inputs = [row[:2] for row in rows]
        return Examples(ids, inputs, [row[2] for row in rows], task="instruction")

    splits = Splits(
        train=told("train", ("add", "1 1", "2"), ("add", "", "?")),
        select=told("select", ("", "1 2", "3")),
        test=told("test", ("say", "", " "), ("add", "1 1", "two")),
        labels=[],
    )
    found = quality(splits)
    assert found["empty"] == {"train": 0, "select": 1, "test": 0}
    assert found["empty_answers"] == {"train": 0, "select": 0, "test": 1}
    assert found["overlap_with_train"]["test"] == 1
    assert found["classes"] == {}
    assert warnings(found, {"max_length": 9}) == [
        "1 of 2 test inputs also occur in train",
        "1 of 2 test answers are empty",
    ]


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({}, ": dataset.group=comment would keep equal ones on one side of the cut"),
        ({"test": "b.csv"}, ""),
        ({"group": "film"}, ""),
        ({"split_column": "side"}, ""),
        ({"modality": "image"}, ""),
        ({"task": "language_modeling"}, ""),
    ],
)
def test_how_equal_inputs_stay_on_one_side_is_said_where_a_file_is_cut(
    options: dict[str, str], remedy: str
) -> None:
    splits = Splits(
        part("train", ["c"], "x"), part("select", ["d"], "y"), part("test", ["c"], "x"), ["x", "y"]
    )
    config = DatasetConfig(name="files", train="a.csv", text="comment", **options)
    assert warnings(quality(splits), {"max_length": 9}, config) == [
        f"1 of 1 test inputs also occur in train{remedy}"
    ]


def test_blank_lines_of_a_running_text_are_part_of_it() -> None:
    splits = Splits(
        train=running("train", ["one", "", " ", "two", "", "one"]),
        select=running("select", ["", "three"]),
        test=running("test", ["", "two", ""]),
        labels=[],
    )
    found = quality(splits)
    assert found["rows"] == {"train": 6, "select": 2, "test": 3}
    assert found["empty"]["test"] == 0
    assert found["duplicates"]["train"] == 1
    assert found["overlap_with_train"] == {"select": 0, "test": 1}


def test_what_had_to_be_converted_and_what_was_not_read_is_said() -> None:
    test = Examples(
        ["test-0", "test-2"], ["True", "b"], ["x", "y"], converted=frozenset({"test-0", "test-1"})
    )
    splits = Splits(part("train", ["c"], "x"), part("select", ["d"], "y"), test, ["x", "y"], unread=["test"])
    found = quality(splits)
    assert found["converted"] == {"train": 0, "select": 0, "test": 1}
    assert warnings(found, {"max_length": 9}) == [
        "1 of 2 test inputs had numbers or broken letters for texts",
        "cross-validation cuts the rows of train: dataset.test was not read",
    ]


def test_a_reader_is_warned_of_what_spoils_a_score() -> None:
    splits = Splits(
        train=part("train", ["a", "b"], "xy"),
        select=part("select", ["b", "c"], "xy"),
        test=part("test", ["a", "c", ""], "xyx"),
        labels=["x", "y"],
    )
    found = warnings(
        quality(splits, {"test": 0.5}), {"name": "base64_flat", "max_length": 64, "kept_pixels": 0.25}
    )
    assert found == [
        "1 of 3 test inputs also occur in train",
        "1 of 3 test inputs also occur in select, where choices were made",
        "1 of 2 select inputs also occur in train",
        "1 of 3 test texts are empty",
        "50% of test inputs were cut at 64 tokens",
        "encoding base64_flat: only 25% of the pixels can be read after the tokenizer",
    ]
    clean = Splits(splits.train, part("select", ["d"], "x"), part("test", ["e"], "x"), ["x", "y"])
    assert warnings(quality(clean, {"test": 0.0}), {"max_length": 64}) == []
