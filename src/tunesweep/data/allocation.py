"""Sharing rows out among names, by chance that is the same for the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Counts = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


def generator(seed: int, purpose: str) -> np.random.Generator:
    """A stream of its own for each purpose: a limit never changes which rows are cut."""
    return np.random.default_rng([seed, *purpose.encode()])


def codes_of(names: Sequence[str]) -> tuple[Counts, Counts]:
    """Return the number of each row's name, and how many rows each name has; names are in order."""
    number = {name: code for code, name in enumerate(sorted(set(names)))}
    codes = np.array([number[name] for name in names], dtype=np.int64)
    return codes, np.bincount(codes)


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


def draw(codes: Counts, shares: Counts, random: np.random.Generator) -> Mask:
    """Choose so many rows of each code."""
    chosen = np.zeros(len(codes), dtype=bool)
    for code, share in enumerate(shares):
        chosen[random.permutation(np.flatnonzero(codes == code))[:share]] = True
    return chosen
