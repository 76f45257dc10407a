"""What a split holds, once it has been read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

Inputs = list[str] | list[tuple[str, ...]] | np.ndarray[Any, np.dtype[Any]]
Values = TypeVar("Values", list[str], list[str] | None)


@dataclass(frozen=True)
class Examples:
    """Rows of one split: `inputs` are texts, tuples of texts, or images [n, height, width]."""

    ids: list[str]  # "train-17": where the row was read, and its number there, from 0
    inputs: Inputs
    labels: list[str]  # names of classes; answers of instructions; empty for running text
    groups: list[str] | None = None
    sides: list[str] | None = None  # the split that each row of one file names for itself
    converted: frozenset[str] = frozenset()  # ids of rows whose texts were not valid texts in the file
    task: str = "classification"

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def running(self) -> bool:
        """Whether the rows are one text in its order, which is cut into pieces and never drawn from."""
        return self.task == "language_modeling"

    @property
    def strata(self) -> list[str]:
        """Return what a cut keeps in proportion: the classes, where there are some."""
        return self.labels if self.task == "classification" else [""] * len(self)

    def take(self, indexes: Sequence[int]) -> Examples:
        """Return the rows at these places, in this order."""
        if isinstance(self.inputs, np.ndarray):
            inputs: Any = self.inputs[np.asarray(indexes, dtype=int)]
        else:
            inputs = [self.inputs[index] for index in indexes]

        def some(values: Values) -> Values:
            return values if values is None else [values[index] for index in indexes]

        return replace(
            self,
            ids=some(self.ids),
            inputs=inputs,
            labels=some(self.labels),
            groups=some(self.groups),
            sides=some(self.sides),
        )


@dataclass(frozen=True)
class Splits:
    """The three splits of one data set, and the order of its classes."""

    train: Examples
    select: Examples
    test: Examples
    labels: list[str]  # empty where no classes are told apart
    value_range: tuple[float, float] | None = None  # of images: darkest and brightest value
    unread: list[str] = field(default_factory=list)  # given splits that cross-validation leaves aside
