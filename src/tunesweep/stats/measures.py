"""Metrics as functions of which examples are drawn, for the tests of `pairs`: numpy alone.

A measure takes row numbers [..., examples] and reduces the last axis, as `pairs.permutation` and
`pairs.bootstrap` ask of a statistic. Where two runs are compared, their rows stand one above the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray
Measure = Callable[..., Any]  # (rows [..., examples], axis) -> [...]
BINS = 15  # of the calibration error, as in tunesweep.metrics
LARGEST = 700.0  # exp of more is no float


def mean(values: Array) -> Measure:
    """Return the mean of values [rows]; those that are not known (NaN) are left out."""
    known = ~np.isnan(values)
    filled = np.where(known, values, 0.0)

    def measure(rows: Array, axis: int = -1) -> Any:
        rows = np.asarray(rows, int)
        with np.errstate(invalid="ignore"):
            return filled[rows].sum(axis=axis) / known[rows].sum(axis=axis)

    return measure


def perplexity(nll: Array, tokens: Array) -> Measure:
    """Return the perplexity of a token, from sums of losses in nats and of tokens [rows]."""

    def measure(rows: Array, axis: int = -1) -> Any:
        rows = np.asarray(rows, int)
        loss = nll[rows].sum(axis=axis) / tokens[rows].sum(axis=axis)
        return np.exp(np.minimum(loss, LARGEST))

    return measure


def macro_f1(labels: Array, predicted: Array, classes: int) -> Measure:
    """Return the mean F1 of the classes that occur or are predicted, from numbers [rows]; -1 is no class."""

    def measure(rows: Array, axis: int = -1) -> Any:
        right, true, said = _counts(labels, predicted, classes, rows)
        return _mean_of_classes(2 * right, true + said)

    return measure


def balanced_accuracy(labels: Array, predicted: Array, classes: int) -> Measure:
    """Return the mean recall of the classes that occur."""

    def measure(rows: Array, axis: int = -1) -> Any:
        right, true, _ = _counts(labels, predicted, classes, rows)
        return _mean_of_classes(right, true)

    return measure


def calibration_error(confidence: Array, right: Array) -> Measure:
    """Return the expected calibration error over 15 bins, of the most probable class's probability [rows]."""
    which = np.searchsorted(np.arange(BINS + 1) / BINS, confidence)
    gap = confidence - right

    def measure(rows: Array, axis: int = -1) -> Any:
        rows = np.asarray(rows, int)
        return np.abs(_binned(which, BINS + 2, rows, gap)).sum(axis=-1) / rows.shape[-1]

    return measure


def _counts(labels: Array, predicted: Array, classes: int, rows: Array) -> Sequence[Array]:
    """Return, for each class, how many rows are right, have it, and are said to be it [..., classes]."""
    rows = np.asarray(rows, int)
    spare = classes  # where what is no class, or not right, is put, and not counted
    right = np.where(labels == predicted, labels, spare)
    said = np.where(predicted < 0, spare, predicted)
    return [_binned(values, classes + 1, rows)[..., :classes] for values in (right, labels, said)]


def _binned(which: Array, bins: int, rows: Array, weights: Array | None = None) -> Array:
    """Count, or sum weights, by bin, for every draw of rows [..., examples] -> [..., bins]."""
    drawn = rows.reshape(-1, rows.shape[-1])
    places = which[drawn] + bins * np.arange(len(drawn))[:, None]
    known = None if weights is None else weights[drawn].ravel()
    found = np.bincount(places.ravel(), known, minlength=bins * len(drawn))
    return found.reshape(*rows.shape[:-1], bins)


def _mean_of_classes(part: Array, whole: Array) -> Any:
    there = whole > 0
    shares = np.divide(part, whole, out=np.zeros(part.shape), where=there)
    return shares.sum(axis=-1) / there.sum(axis=-1)
