"""Cross-validation: every row scored once, parts alike, groups whole."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_files import config, write
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from tunesweep.config import DatasetConfig, Limit
from tunesweep.data.examples import Examples
from tunesweep.data.folds import fold_of
from tunesweep.data.readers import load
from tunesweep.data.splits import divide
from tunesweep.errors import BadConfig, BadData


def examples(labels: list[str], groups: list[str] | None = None) -> Examples:
    ids = [f"train-{row}" for row in range(len(labels))]
    return Examples(ids, [f"text {row}" for row in range(len(labels))], labels, groups)


def counts(labels: list[str], parts: np.ndarray, folds: int) -> np.ndarray:
    """Return rows per part and class."""
    return np.array(
        [
            [
                sum(found == label for found, part in zip(labels, parts, strict=True) if part == fold)
                for label in sorted(set(labels))
            ]
            for fold in range(folds)
        ]
    )


@given(
    labels=st.lists(st.sampled_from("aaaabbc"), min_size=20, max_size=80),
    folds=st.integers(2, 6),
    seed=st.integers(0, 50),
)
@settings(max_examples=60, deadline=None)
def test_parts_are_as_alike_as_those_of_scikit_learn(labels: list[str], folds: int, seed: int) -> None:
    ours = counts(labels, fold_of(examples(labels), folds, seed), folds)
    theirs = np.zeros(len(labels), dtype=int)
    if min(Counter(labels).values()) >= folds:
        for part, (_, rows) in enumerate(StratifiedKFold(folds).split(labels, labels)):
            theirs[rows] = part
        spread = counts(labels, theirs, folds)
        assert np.ptp(ours, axis=0).tolist() == np.ptp(spread, axis=0).tolist()
    assert np.ptp(ours, axis=0).max() <= 1
    assert np.ptp(ours.sum(axis=1)) <= 1


@given(sizes=st.lists(st.integers(1, 9), min_size=8, max_size=30), seed=st.integers(0, 20))
@settings(max_examples=40, deadline=None)
def test_a_group_is_in_one_part_alone(sizes: list[int], seed: int) -> None:
    groups = [f"g{number}" for number, size in enumerate(sizes) for _ in range(size)]
    labels = ["ab"[row % 2] for row in range(len(groups))]
    parts = fold_of(examples(labels, groups), 4, seed)
    assert len(set(zip(groups, parts, strict=True))) == len(sizes)
    assert set(parts) == {0, 1, 2, 3}


def test_parts_of_groups_are_near_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    groups = [f"g{number}" for number in random.integers(0, 60, 1000)]
    labels = list(random.choice(["a", "b", "b", "b"], 1000))
    theirs = np.zeros(1000, dtype=int)
    for part, (_, rows) in enumerate(StratifiedGroupKFold(5).split(labels, labels, groups)):
        theirs[rows] = part
    ours = counts(labels, fold_of(examples(labels, groups), 5, 0), 5)
    assert np.ptp(ours, axis=0).max() <= np.ptp(counts(labels, theirs, 5), axis=0).max() + 10
    assert np.ptp(ours.sum(axis=1)) <= 20


@pytest.mark.parametrize("grouped", [False, True], ids=["rows", "groups"])
def test_every_row_is_scored_in_one_fold_and_learnt_from_in_none_of_its_own(grouped: bool) -> None:
    whole = examples(["a", "b", "b"] * 30, [f"g{row // 5}" for row in range(90)] if grouped else None)
    scored: list[str] = []
    for number in range(5):
        parts = divide({"train": whole}, DatasetConfig(name="f", train="x", folds=5, fold=number), 0)
        ids = {split: set(part.ids) for split, part in parts.items()}
        assert not ids["test"] & (ids["train"] | ids["select"])
        assert ids["test"] | ids["train"] | ids["select"] == set(whole.ids)
        assert ids["select"]
        scored += parts["test"].ids
    assert sorted(scored) == sorted(whole.ids)


def test_the_seed_of_the_splits_chooses_the_parts() -> None:
    whole = examples(["a", "b"] * 40)
    first, again, other = (fold_of(whole, 5, seed).tolist() for seed in (0, 0, 1))
    assert first == again != other


def test_only_the_training_file_is_cut_and_ids_are_its_rows(tmp_path: object) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path))
    train = write(folder, "a.csv", "text,label\n" + "".join(f"t{n},{'xyz'[n % 3]}\n" for n in range(31)))
    chosen = config(
        train, folds=3, test=str(folder / "never_read.csv"), label_names={"x": "x", "y": "y", "z": ""}
    )
    found: dict[str, str] = {}
    for number in range(3):
        splits = load(DatasetConfig(**(vars(chosen) | {"fold": number, "limit": Limit()})), 0)
        assert splits.unread == ["test"]
        found |= dict(zip(splits.test.ids, map(str, splits.test.inputs), strict=True))
    assert found == {f"train-{n}": f"t{n}" for n in range(31) if n % 3 < 2}


def test_folds_that_cannot_be_are_refused() -> None:
    with pytest.raises(BadConfig, match=r"dataset\.fold=5 of dataset\.folds=5"):
        DatasetConfig(name="f", train="x", folds=5, fold=5)
    with pytest.raises(BadConfig, match=r"dataset\.folds=5 is about rows, and a running text has none"):
        DatasetConfig(name="f", train="x", folds=5, task="language_modeling")
    for fold, labels, groups, words in (
        (0, ["a", "b"], None, "more than the 2 rows"),
        (0, ["a", "b"] * 9, ["g", "h"] * 9, "more than the 2 groups"),
        (2, ["a"] * 9 + ["b"], None, "every row of the class 'b'"),
    ):
        number = int(fold_of(examples(labels), 3, 0)[-1]) if fold else 0
        chosen = DatasetConfig(name="f", train="x", folds=3, fold=number)
        with pytest.raises(BadData, match=words):
            divide({"train": examples(labels, groups)}, chosen, 0)
