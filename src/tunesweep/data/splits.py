"""Cut and shorten splits: pure, stratified, the same for the same seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tunesweep.config import SPLITS, DatasetConfig
from tunesweep.data.examples import Examples
from tunesweep.errors import BadConfig, BadData

Counts = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
DRAWS = 64  # orders of the groups that are tried for one cut


def divide(given: Mapping[str, Examples], config: DatasetConfig, seed: int) -> dict[str, Examples]:
    """Return train, select and test: cut what is missing from train, test first, then shorten each."""
    parts = dict(given)
    for split, fraction in (("test", config.test_fraction), ("select", config.select_fraction)):
        if split not in parts:
            parts["train"], parts[split] = cut(parts["train"], fraction, split, seed)
    return {split: shorten(parts[split], getattr(config.limit, split), split, seed) for split in SPLITS}


def cut(examples: Examples, fraction: float, split: str, seed: int) -> tuple[Examples, Examples]:
    """Return what stays and what is cut off, stratified by label, or whole groups where there are some."""
    if not fraction:
        remedy = f"raise it, or give dataset.{split}=PATH"
        raise BadConfig(f"dataset.{split}_fraction=0 leaves no {split} split: {remedy}")
    wanted = max(1, round(fraction * len(examples)))
    random = _generator(seed, f"cut {split}")
    pick = _by_label if examples.groups is None else _by_group
    chosen = pick(examples, wanted, random)
    if not chosen.any():
        remedy = f"give more rows, or dataset.{split}=PATH"
        raise BadData(f"{len(examples)} rows of train are too few to cut a {split} split from: {remedy}")
    return examples.take(np.flatnonzero(~chosen).tolist()), examples.take(np.flatnonzero(chosen).tolist())


def shorten(examples: Examples, limit: int | None, split: str, seed: int) -> Examples:
    """Return at most `limit` rows, stratified by label, in the order they had."""
    if limit is None or limit >= len(examples):
        return examples
    codes, counts = _codes(examples.labels)
    least = np.ones_like(counts) if limit >= len(counts) else np.zeros_like(counts)
    chosen = _draw(codes, allocate(counts, limit, least, counts), _generator(seed, f"limit {split}"))
    return examples.take(np.flatnonzero(chosen).tolist())


def allocate(counts: Counts, total: int, least: Counts, most: Counts) -> Counts:
    """Share out `total` in proportion to `counts`, within bounds, by largest remainder."""
    ideal = counts * (total / counts.sum())
    shares: Counts = np.clip(np.floor(ideal), least, most).astype(np.int64)
    total = int(np.clip(total, least.sum(), most.sum()))
    while shares.sum() != total:
        step = 1 if shares.sum() < total else -1
        free = shares < most if step > 0 else shares > least
        need = np.where(free, step * (ideal - shares), -np.inf)
        shares[int(need.argmax())] += step
    return shares


def _generator(seed: int, purpose: str) -> np.random.Generator:
    """A stream of its own for each purpose: a limit never changes which rows are cut."""
    return np.random.default_rng([seed, *purpose.encode()])


def _codes(names: list[str]) -> tuple[Counts, Counts]:
    """Return the number of each row's name, and how many rows each name has; names are in order."""
    number = {name: code for code, name in enumerate(sorted(set(names)))}
    codes = np.array([number[name] for name in names], dtype=np.int64)
    return codes, np.bincount(codes)


def _draw(codes: Counts, shares: Counts, random: np.random.Generator) -> Mask:
    chosen = np.zeros(len(codes), dtype=bool)
    for code, share in enumerate(shares):
        chosen[random.permutation(np.flatnonzero(codes == code))[:share]] = True
    return chosen


def _by_label(examples: Examples, wanted: int, random: np.random.Generator) -> Mask:
    codes, counts = _codes(examples.labels)
    # The last row of a class stays in train: a class that is only scored cannot be learnt.
    return _draw(codes, allocate(counts, wanted, np.zeros_like(counts), counts - 1), random)


def _by_group(examples: Examples, wanted: int, random: np.random.Generator) -> Mask:
    """Take whole groups: of many random orders the one whose first groups come nearest, class by class."""
    groups, sizes = _codes(examples.groups or [])
    codes, counts = _codes(examples.labels)
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
