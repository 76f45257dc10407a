"""Cross-validation: rows in parts, each of which is the test split once."""

from __future__ import annotations

import numpy as np

from tunesweep.data.allocation import Counts, codes_of, generator
from tunesweep.data.examples import Examples
from tunesweep.errors import BadData


def fold_of(examples: Examples, folds: int, seed: int) -> Counts:
    """Return each row's part, from 0: stratified by class, whole groups together, the same for one seed."""
    random = generator(seed, "folds")
    classes, _ = codes_of(examples.strata)
    if examples.groups is None:
        return _dealt(classes, folds, random)
    groups, sizes = codes_of(examples.groups)
    if len(sizes) < folds:
        raise BadData(
            f"dataset.folds={folds} is more than the {len(sizes)} groups of train: take fewer folds"
        )
    return _by_group(groups, classes, folds, random)[groups]


def fold(examples: Examples, folds: int, number: int, seed: int) -> tuple[Examples, Examples]:
    """Return the other parts, and one part."""
    if len(examples) < folds:
        raise BadData(
            f"dataset.folds={folds} is more than the {len(examples)} rows of train: take fewer folds"
        )
    chosen = fold_of(examples, folds, seed) == number
    rest = examples.take(np.flatnonzero(~chosen).tolist())
    lost = sorted(set(examples.strata) - set(rest.strata))
    if lost:
        raise BadData(
            f"fold {number} of dataset.folds={folds} holds every row of the class '{lost[0]}', and leaves "
            "none to learn from: give more rows, or leave the class out by dataset.label_names"
        )
    return rest, examples.take(np.flatnonzero(chosen).tolist())


def _dealt(classes: Counts, folds: int, random: np.random.Generator) -> Counts:
    """Deal the rows out like cards, class by class: no two parts differ by more than one row of a class."""
    order = random.permutation(len(classes))
    order = order[np.argsort(classes[order], kind="stable")]
    parts = np.empty(len(classes), dtype=np.int64)
    parts[order] = np.arange(len(classes)) % folds
    return parts


def _by_group(groups: Counts, classes: Counts, folds: int, random: np.random.Generator) -> Counts:
    """Return each group's part: the largest groups first, each where it leaves the parts most alike."""
    table = np.zeros((groups.max() + 1, classes.max() + 1), dtype=np.int64)
    np.add.at(table, (groups, classes), 1)
    shares = table / table.sum(axis=0)  # a rare class weighs as much as a common one
    order = random.permutation(len(table))
    order = order[np.argsort(-table[order].sum(axis=1), kind="stable")]
    parts, held = np.empty(len(table), dtype=np.int64), np.zeros((folds, table.shape[1]))
    for group in order:
        unlike = [np.square(held + np.eye(folds)[[part]].T * shares[group]).sum() for part in range(folds)]
        parts[group] = int(np.argmin(unlike))
        held[parts[group]] += shares[group]
    return parts
