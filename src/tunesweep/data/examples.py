"""What a split holds, once it has been read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Inputs = list[str] | list[tuple[str, str]] | np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Examples:
    """Rows of one split: `inputs` are texts, pairs of texts, or images [n, height, width]."""

    ids: list[str]  # "train-17": where the row was read, and its number there, from 0
    inputs: Inputs
    labels: list[str]  # names of classes
    groups: list[str] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, indexes: Sequence[int]) -> Examples:
        """Return the rows at these places, in this order."""
        if isinstance(self.inputs, np.ndarray):
            inputs: Any = self.inputs[np.asarray(indexes, dtype=int)]
        else:
            inputs = [self.inputs[index] for index in indexes]
        return replace(
            self,
            ids=[self.ids[index] for index in indexes],
            inputs=inputs,
            labels=[self.labels[index] for index in indexes],
            groups=None if self.groups is None else [self.groups[index] for index in indexes],
        )


@dataclass(frozen=True)
class Splits:
    """The three splits of one data set, and the order of its classes."""

    train: Examples
    select: Examples
    test: Examples
    labels: list[str]
    value_range: tuple[float, float] | None = None  # of images: darkest and brightest value
