"""Cutting and shortening: exact counts, every class where it can be, no group on two sides."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesweep.config import DatasetConfig, Limit
from tunesweep.data.allocation import allocate
from tunesweep.data.examples import Examples
from tunesweep.data.rows import running
from tunesweep.data.splits import cut, divide, shorten
from tunesweep.errors import BadConfig, BadData

MANY = st.lists(st.sampled_from("aaaabbc"), min_size=6, max_size=80).filter(lambda names: len(set(names)) > 1)


def examples(labels: list[str], groups: list[str] | None = None) -> Examples:
    ids = [f"train-{row}" for row in range(len(labels))]
    return Examples(
        ids=ids, inputs=[f"text {row}" for row in range(len(labels))], labels=labels, groups=groups
    )


def config(**options: Any) -> DatasetConfig:
    return DatasetConfig(name="f", train="x", **options)


def test_test_is_cut_first_then_select() -> None:
    parts = divide({"train": examples(["a", "b"] * 500)}, config(), 0)
    assert {split: len(part) for split, part in parts.items()} == {"train": 720, "select": 80, "test": 200}
    for part in parts.values():
        assert Counter(part.labels)["a"] == len(part) / 2
    ids = [row for part in parts.values() for row in part.ids]
    assert sorted(ids) == sorted(f"train-{row}" for row in range(1000))


def test_given_splits_are_not_cut() -> None:
    test = examples(["a", "b"])
    parts = divide({"train": examples(["a", "b"] * 50), "test": test}, config(), 0)
    assert parts["test"] is test
    assert (len(parts["train"]), len(parts["select"])) == (90, 10)


def test_texts_stay_with_their_labels_and_ids() -> None:
    whole = examples([f"c{row % 3}" for row in range(60)])
    label = dict(zip(whole.ids, whole.labels, strict=True))
    for part in divide({"train": whole}, config(limit=Limit(train=20)), 3).values():
        assert [label[row] for row in part.ids] == part.labels
        assert [f"text {row.removeprefix('train-')}" for row in part.ids] == part.inputs


@given(labels=MANY, fraction=st.floats(0.05, 0.6), seed=st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_a_cut_keeps_every_class_in_train(labels: list[str], fraction: float, seed: int) -> None:
    stays, gone = cut(examples(labels), fraction, "test", seed)
    assert set(stays.labels) == set(labels)
    assert sorted(stays.ids + gone.ids) == sorted(examples(labels).ids)
    spare = len(labels) - len(set(labels))
    assert len(gone) == min(max(1, round(fraction * len(labels))), spare)


@given(labels=MANY, limit=st.integers(1, 90), seed=st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_a_limit_is_exact_and_leaves_every_class_a_row(labels: list[str], limit: int, seed: int) -> None:
    short = shorten(examples(labels), limit, "train", seed)
    assert len(short) == min(limit, len(labels))
    if limit >= len(set(labels)):
        assert set(short.labels) == set(labels)
    assert short.ids == sorted(short.ids, key=lambda row: int(row.removeprefix("train-")))


def test_a_limit_keeps_the_shares_of_the_classes() -> None:
    short = shorten(examples(["a"] * 700 + ["b"] * 290 + ["c"] * 10), 100, "train", 0)
    assert Counter(short.labels) == {"a": 70, "b": 29, "c": 1}


def test_allocation_by_hand() -> None:
    counts = np.array([6, 3, 1])
    none = np.zeros(3, dtype=np.int64)
    assert allocate(counts, 5, none, counts).tolist() == [3, 2, 0]  # of 3.0, 1.5 and 0.5: a tie, first wins
    assert allocate(counts, 5, none + 1, counts).tolist() == [3, 1, 1]
    assert allocate(counts, 9, none, counts - 1).tolist() == [5, 2, 0]  # no more than seven to be had


def test_seeds_choose_and_limits_do_not() -> None:
    whole = {"train": examples(["a", "b"] * 100)}
    first, again, other = (divide(whole, config(), seed) for seed in (0, 0, 1))
    assert first["test"].ids == again["test"].ids != other["test"].ids
    limited = divide(whole, config(limit=Limit(train=30)), 0)
    assert limited["test"].ids == first["test"].ids
    assert set(limited["train"].ids) < set(first["train"].ids)


def test_each_split_is_drawn_for_itself() -> None:
    whole = examples(["a", "b"] * 100)
    assert shorten(whole, 20, "select", 0).ids != shorten(whole, 20, "test", 0).ids


def test_a_smaller_limit_is_part_of_a_larger_one() -> None:
    whole = examples(["a", "b"] * 100)
    small, large = (set(shorten(whole, limit, "train", 0).ids) for limit in (20, 60))
    assert small < large


@given(sizes=st.lists(st.integers(1, 9), min_size=12, max_size=40), seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_no_group_stands_on_two_sides(sizes: list[int], seed: int) -> None:
    groups = [f"film {number}" for number, size in enumerate(sizes) for _ in range(size)]
    whole = examples([("a", "b")[row % 2] for row in range(len(groups))], groups)
    stays, gone = cut(whole, 0.25, "test", seed)
    assert not set(stays.groups or ()) & set(gone.groups or ())
    assert abs(len(gone) - 0.25 * len(whole)) <= max(sizes)


def test_grouped_cuts_are_near_the_fraction_and_the_classes() -> None:
    random = np.random.default_rng(0)
    groups = [f"g{number}" for number in random.integers(0, 150, 3000)]
    whole = examples([("a", "b", "b", "b")[number] for number in random.integers(0, 4, 3000)], groups)
    _, gone = cut(whole, 0.2, "test", 0)
    assert len(gone) / 3000 == pytest.approx(0.2, abs=0.01)
    assert Counter(gone.labels)["a"] / len(gone) == pytest.approx(Counter(whole.labels)["a"] / 3000, abs=0.02)


def test_a_class_of_one_group_stays_in_train() -> None:
    groups = [f"g{row // 4}" for row in range(80)]
    whole = examples(["rare"] * 4 + ["a", "b"] * 38, groups)
    for seed in range(20):
        stays, _ = cut(whole, 0.6, "test", seed)  # the balance alone would give the rare class away
        assert "rare" in stays.labels


@pytest.mark.parametrize("groups", [None, ["one"] * 4], ids=["labels", "one group"])
def test_what_cannot_be_cut_says_so(groups: list[str] | None) -> None:
    labels = ["a", "b", "a", "b"] if groups else ["a", "b"]
    with pytest.raises(BadData, match=r"too few .*dataset\.test=PATH"):
        cut(examples(labels, groups), 0.2, "test", 0)


def test_a_fraction_of_zero_is_refused() -> None:
    with pytest.raises(BadConfig, match=r"dataset\.select_fraction=0"):
        cut(examples(["a", "b"]), 0.0, "select", 0)


def test_images_are_taken_by_row() -> None:
    pictures = np.arange(8).reshape(2, 2, 2)
    whole = Examples(ids=["train-0", "train-1"], inputs=pictures, labels=["x", "y"])
    taken = whole.take([1])
    assert taken.inputs.tolist() == [[[4, 5], [6, 7]]]
    assert (taken.ids, taken.labels, taken.groups) == (["train-1"], ["y"], None)


def test_a_running_text_is_cut_into_its_pieces_and_shortened_to_its_beginning() -> None:
    lines = [f"line {row}" for row in range(100)]
    parts = divide({"train": running("train", lines)}, config(), 3)
    assert [part.inputs for part in parts.values()] == [lines[:72], lines[72:80], lines[80:]]
    short = divide({"train": running("train", lines)}, config(limit=Limit(train=5, test=7)), 3)
    assert short["train"].inputs == lines[:5]
    assert short["test"].inputs == lines[80:87]


def test_answers_are_no_classes_to_stratify_by() -> None:
    whole = Examples(
        ids=[f"train-{row}" for row in range(50)],
        inputs=["do"] * 50,
        labels=[f"answer {row}" for row in range(50)],
        task="instruction",
    )
    stays, gone = cut(whole, 0.2, "test", 0)
    assert (len(stays), len(gone)) == (40, 10)
    assert [int(row.removeprefix("train-")) for row in gone.ids] != list(range(10))  # drawn, not the first
    assert len(shorten(whole, 7, "train", 0)) == 7


def test_train_keeps_some_classes_and_the_others_are_still_scored() -> None:
    whole = {"train": examples(["a", "b", "c"] * 100)}
    every, only = divide(whole, config(), 0), divide(whole, config(train_classes=["b"]), 0)
    assert set(only["train"].labels) == {"b"}
    assert only["train"].ids == [
        row for row, label in zip(every["train"].ids, every["train"].labels, strict=True) if label == "b"
    ]
    assert only["test"].ids == every["test"].ids
    assert set(only["select"].labels) == {"a", "b", "c"}
    # Classes first, then the limit: ten of them, not what ten rows of all classes leave.
    assert len(divide(whole, config(train_classes=["b"], limit=Limit(train=10)), 0)["train"]) == 10
