"""What an adapter that learnt some classes alone gives and takes: the same model with it on and off.

Confusion matrices are counts [true, predicted] of the same examples. A class that is said to everything has
no errors of its own; its false positives and the errors of the others tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Matrix = Sequence[Sequence[int]]


def compare(
    on: Matrix,
    off: Matrix,
    names: Sequence[str],
    trained: Sequence[str],
    support: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Return counts and accuracies with the adapter on, and off (`..._off`); what has no examples is absent.

    errors: mistakes on examples of the trained classes; others: accuracy on those of all other classes;
    overall: accuracy on all; false_positives: examples of other classes that were taken for a trained one;
    per_class: mistakes by class. `support`, the examples of each class, is needed where some predictions were
    no class at all, and so stand in no column.
    """
    chosen = np.isin(list(names), list(trained))
    if missing := set(trained) - set(names):
        raise ValueError(f"{sorted(missing)} are no classes: they are {', '.join(names)}")
    one, other = np.asarray(on, dtype=np.int64), np.asarray(off, dtype=np.int64)
    total = _support(one, other, names, support)
    with_it, without = _figures(one, total, chosen), _figures(other, total, chosen)
    found: dict[str, Any] = with_it | {f"{name}_off": value for name, value in without.items()}
    mistakes = zip(names, _errors(one, total), _errors(other, total), strict=True)
    per_class = {name: {"errors": int(a), "errors_off": int(b)} for name, a, b in mistakes}
    return found | {"per_class": per_class}


def _figures(confusion: np.ndarray, support: np.ndarray, chosen: np.ndarray) -> dict[str, float]:
    errors = _errors(confusion, support)
    found: dict[str, float] = {
        "errors": int(errors[chosen].sum()),
        "false_positives": int(confusion[np.ix_(~chosen, chosen)].sum()),
    }
    shares = {"others": ~chosen, "overall": np.ones_like(chosen)}
    counts = {name: (errors[which].sum(), support[which].sum()) for name, which in shares.items()}
    return found | {name: float(1 - wrong / n) for name, (wrong, n) in counts.items() if n}


def _errors(confusion: np.ndarray, support: np.ndarray) -> np.ndarray:
    mistakes: np.ndarray = support - confusion.diagonal()
    return mistakes


def _support(
    one: np.ndarray, other: np.ndarray, names: Sequence[str], support: Mapping[str, float] | None
) -> np.ndarray:
    """Return the examples of each class [classes]."""
    shape = (len(names), len(names))
    if one.shape != shape or other.shape != shape:
        raise ValueError(f"matrices of {one.shape} and {other.shape} must be {shape}, a row for each class")
    if support is not None:
        return np.array([support[name] for name in names], dtype=np.int64)
    if (one.sum(axis=1) != other.sum(axis=1)).any():
        raise ValueError(
            "the matrices count different examples, or some predictions were no class: give support"
        )
    rows: np.ndarray = one.sum(axis=1)
    return rows
