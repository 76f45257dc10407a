"""Cut and shorten splits: pure, stratified, the same for the same seed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tunesweep.config import SPLITS, DatasetConfig
from tunesweep.data.allocation import Mask, allocate, codes_of, draw, generator
from tunesweep.data.examples import Examples
from tunesweep.data.folds import fold
from tunesweep.errors import BadConfig, BadData

DRAWS = 64  # orders of the groups that are tried for one cut


def divide(given: Mapping[str, Examples], config: DatasetConfig, seed: int) -> dict[str, Examples]:
    """Return train, select and test.

    What is missing is cut from train, test first; then train keeps the classes it may learn from, and each
    split is shortened. So neither classes nor limits change which rows are scored.
    """
    parts = dict(given)
    if config.folds is not None:
        parts["train"], parts["test"] = fold(parts["train"], config.folds, config.fold, seed)
    for split, fraction in (("test", config.test_fraction), ("select", config.select_fraction)):
        if split not in parts:
            parts["train"], parts[split] = cut(parts["train"], fraction, split, seed)
    if config.train_classes:
        parts["train"] = of_classes(parts["train"], config.train_classes)
    return {split: shorten(parts[split], getattr(config.limit, split), split, seed) for split in SPLITS}


def of_classes(examples: Examples, names: list[str]) -> Examples:
    """Return the rows of these classes."""
    return examples.take([row for row, label in enumerate(examples.labels) if label in names])


def cut(examples: Examples, fraction: float, split: str, seed: int) -> tuple[Examples, Examples]:
    """Return what stays and what is cut off.

    Rows are drawn stratified by label, or by whole groups where there are some; of a running text the end
    is cut off, for lines of it drawn at random would be text no more.
    """
    if not fraction:
        remedy = f"raise it, or give dataset.{split}=PATH"
        raise BadConfig(f"dataset.{split}_fraction=0 leaves no {split} split: {remedy}")
    wanted = max(1, round(fraction * len(examples)))
    random = generator(seed, f"cut {split}")
    if examples.running:
        chosen = np.arange(len(examples)) >= max(1, len(examples) - wanted)
    else:
        chosen = (_by_label if examples.groups is None else _by_group)(examples, wanted, random)
    if not chosen.any():
        remedy = f"give more rows, or dataset.{split}=PATH"
        raise BadData(f"{len(examples)} rows of train are too few to cut a {split} split from: {remedy}")
    return examples.take(np.flatnonzero(~chosen).tolist()), examples.take(np.flatnonzero(chosen).tolist())


def shorten(examples: Examples, limit: int | None, split: str, seed: int) -> Examples:
    """Return at most `limit` rows in their order: stratified by label, or the first of a running text."""
    if limit is None or limit >= len(examples):
        return examples
    if examples.running:
        return examples.take(range(limit))
    codes, counts = codes_of(examples.strata)
    least = np.ones_like(counts) if limit >= len(counts) else np.zeros_like(counts)
    chosen = draw(codes, allocate(counts, limit, least, counts), generator(seed, f"limit {split}"))
    return examples.take(np.flatnonzero(chosen).tolist())


def _by_label(examples: Examples, wanted: int, random: np.random.Generator) -> Mask:
    codes, counts = codes_of(examples.strata)
    # The last row of a class stays in train: a class that is only scored cannot be learnt.
    return draw(codes, allocate(counts, wanted, np.zeros_like(counts), counts - 1), random)


def _by_group(examples: Examples, wanted: int, random: np.random.Generator) -> Mask:
    """Take whole groups: of many random orders the one whose first groups come nearest, class by class."""
    groups, sizes = codes_of(examples.groups or [])
    codes, counts = codes_of(examples.strata)
    table = np.zeros((len(sizes), len(counts)), dtype=np.int64)
    np.add.at(table, (groups, codes), 1)
    ideal = counts * (wanted / len(examples))
    best, least = np.empty(0, dtype=np.int64), np.inf
    for _ in range(DRAWS):
        order = random.permutation(len(sizes))
        reached = table[order].cumsum(axis=0)[:-1]
        # A class that would be lost from train weighs more than any imbalance.
        misses = np.abs(reached - ideal).sum(axis=1) + len(examples) * (reached == counts).sum(axis=1)
        if len(misses) and misses.min() < least:
            least, best = misses.min(), order[: int(misses.argmin()) + 1]
    return np.isin(groups, best)
