"""Scores of a classifier, from logits and labels alone (numpy and scikit-learn)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import log_softmax, softmax
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

Array = np.ndarray


def probabilities(logits: Array) -> Array:
    """Return the softmax of logits [n, classes], in 64 bits."""
    result: Array = softmax(logits.astype(np.float64), axis=1)
    return result


def losses(logits: Array, labels: Array) -> Array:
    """Return each example's negative log-likelihood [n] in nats."""
    scores = log_softmax(logits.astype(np.float64), axis=1)
    result: Array = -scores[np.arange(len(labels)), labels]
    return result


def calibration_error(probability: Array, labels: Array, bins: int = 15) -> float:
    """Return the expected calibration error: mean |confidence - accuracy| over equal-width bins.

    Source: Guo et al. 2017 (arXiv:1706.04599), section 2, 15 bins; a bin is open below, closed above.
    """
    confidence, right = probability.max(axis=1), probability.argmax(axis=1) == labels
    which = np.searchsorted(np.arange(bins + 1) / bins, confidence)  # never the bin above by a rounding error
    gaps = [abs(confidence[which == b].sum() - right[which == b].sum()) for b in np.unique(which)]
    return float(sum(gaps) / len(labels))


def quick(logits: Array, labels: Array) -> dict[str, float]:
    """Return what is monitored on the select split: accuracy, macro_f1, loss."""
    predicted = logits.argmax(axis=1)
    return {
        "accuracy": float((predicted == labels).mean()),
        "macro_f1": _macro_f1(labels, predicted),
        "loss": float(losses(logits, labels).mean()),
    }


def full(logits: Array, labels: Array, names: Sequence[str]) -> dict[str, Any]:
    """Return the scores of a row that has a logit for every class."""
    return decided(logits.argmax(axis=1), labels, names) | {
        "log_loss": float(losses(logits, labels).mean()),
        "calibration_error": calibration_error(probabilities(logits), labels),
    }


def decided(predicted: Array, labels: Array, names: Sequence[str]) -> dict[str, Any]:
    """Return the scores of predicted classes; `per_class` by name, `confusion` [true, predicted].

    A prediction of -1, an answer that is no class, is wrong, and has no column in `confusion`.
    """
    classes, per_class = np.arange(len(names)), by_class(labels, predicted, names)
    present = [names[i] for i in np.unique(labels)]
    return {
        "n": len(labels),
        "accuracy": float((predicted == labels).mean()),
        "macro_f1": _macro_f1(labels, predicted),
        "balanced_accuracy": float(np.mean([per_class[name]["recall"] for name in present])),
        "per_class": per_class,
        "confusion": confusion_matrix(labels, predicted, labels=classes).tolist(),
    }


def _macro_f1(labels: Array, predicted: Array) -> float:
    """A class that is neither there nor predicted has no part in it; what is no class is none."""
    known = np.union1d(labels, predicted[predicted >= 0])
    return float(f1_score(labels, predicted, labels=known, average="macro", zero_division=0))


def by_class(labels: Array, predicted: Array, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return precision, recall, f1-score and support of each class, by name."""
    columns = precision_recall_fscore_support(labels, predicted, labels=range(len(names)), zero_division=0)
    keys = ("precision", "recall", "f1-score", "support")
    rows = zip(*columns, strict=True)
    return {n: dict(zip(keys, map(float, row), strict=True)) for n, row in zip(names, rows, strict=True)}
