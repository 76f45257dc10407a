"""Every metric against an independent implementation (R19)."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_calibration_error,
    multiclass_f1_score,
)

from tunesweep import metrics

NAMES = ["a", "b", "c", "d"]


def made(n: int = 400, classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return logits that are right more often than not, unevenly over the classes."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, n, p=np.arange(1, classes + 1) / sum(range(1, classes + 1)))
    logits = rng.normal(size=(n, classes)) * 2
    logits[np.arange(n), labels] += 1.5
    return logits.astype(np.float32), labels


def test_scores_equal_scikit_learn_and_torchmetrics():
    logits, labels = made()
    found, predicted = metrics.full(logits, labels, NAMES), logits.argmax(1)
    t_logits, t_labels = torch.from_numpy(logits), torch.from_numpy(labels)
    micro = multiclass_accuracy(t_logits, t_labels, 4, average="micro")
    assert found["accuracy"] == pytest.approx(float(micro), abs=1e-6)
    macro = multiclass_f1_score(t_logits, t_labels, 4, average="macro")
    assert found["macro_f1"] == pytest.approx(float(macro), abs=1e-6)
    assert found["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(labels, predicted))
    assert found["confusion"] == sk.confusion_matrix(labels, predicted).tolist()
    loss = torch.nn.functional.cross_entropy(t_logits.double(), t_labels)
    assert found["log_loss"] == pytest.approx(float(loss), abs=1e-9)
    assert found["n"] == 400


def test_the_per_class_report_follows_its_definition():
    logits, labels = made()
    predicted = logits.argmax(1)
    for number, name in enumerate(NAMES):
        row = metrics.full(logits, labels, NAMES)["per_class"][name]
        right = ((predicted == number) & (labels == number)).sum()
        assert row["precision"] == pytest.approx(right / (predicted == number).sum())
        assert row["recall"] == pytest.approx(right / (labels == number).sum())
        assert row["support"] == (labels == number).sum()


@pytest.mark.parametrize("seed", range(3))
def test_calibration_error_equals_torchmetrics_between_the_edges(seed):
    logits, labels = made(seed=seed)
    probability = metrics.probabilities(logits)
    expected = multiclass_calibration_error(
        torch.from_numpy(probability), torch.from_numpy(labels), 4, n_bins=15
    )
    assert metrics.calibration_error(probability, labels) == pytest.approx(float(expected), abs=1e-6)


def plain_calibration_error(probability: np.ndarray, labels: np.ndarray, bins: int) -> float:
    """Guo et al., equation 3: bins ((m - 1) / M, m / M], by a plain loop."""
    confidence, right, total = probability.max(1), probability.argmax(1) == labels, 0.0
    for m in range(1, bins + 1):
        inside = [i for i, c in enumerate(confidence) if (m - 1) / bins < c <= m / bins]
        if inside:
            gap = sum(right[i] for i in inside) / len(inside) - sum(confidence[i] for i in inside) / len(
                inside
            )
            total += len(inside) / len(labels) * abs(gap)
    return total


@pytest.mark.parametrize("bins", [2, 10, 15, 49])
def test_a_confidence_on_an_edge_counts_below_it(bins):
    edges = [m / bins for m in range(1, bins + 1) if m / bins >= 0.5]
    probability = np.array([[c, 1 - c] for c in (*edges, *(min(1, e + 1e-6) for e in edges))])
    labels = np.arange(len(probability)) % 2
    expected = plain_calibration_error(probability, labels, bins)
    assert metrics.calibration_error(probability, labels, bins) == pytest.approx(expected, abs=1e-12)


def test_certainty_is_calibrated_when_right_and_off_by_one_when_wrong():
    sure = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert metrics.calibration_error(sure, np.array([0, 1])) == 0
    assert metrics.calibration_error(sure, np.array([1, 0])) == 1


def test_a_class_without_examples_takes_no_part_and_warns_of_nothing():
    logits = np.eye(4)[[0, 1, 2, 0, 1]] * 3
    labels = np.array([0, 1, 1, 0, 1])  # `c` is predicted and never true, `d` neither
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = metrics.full(logits, labels, NAMES)
    assert found["balanced_accuracy"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["macro_f1"] == pytest.approx((1 + 0.8 + 0) / 3)
    assert metrics.quick(logits, labels)["macro_f1"] == found["macro_f1"]
    assert found["per_class"]["d"]["support"] == 0
    assert np.asarray(found["confusion"]).shape == (4, 4)


def test_losses_stay_finite_where_a_softmax_would_underflow():
    found = metrics.losses(np.array([[1000.0, 0.0], [0.0, 0.0]], dtype=np.float32), np.array([1, 0]))
    assert found.tolist() == [1000.0, pytest.approx(math.log(2))]
    assert metrics.probabilities(np.array([[1e4, 0.0]])).tolist() == [[1.0, 0.0]]


def test_classes_may_be_called_as_scikit_learn_calls_its_averages():
    logits = np.array([[2.0, 1.0], [2.0, 1.0], [1.0, 2.0], [2.0, 1.0]])
    labels = np.array([0, 0, 1, 1])
    plain, odd = (metrics.full(logits, labels, names) for names in (["a", "b"], ["accuracy", "macro avg"]))
    assert list(odd["per_class"].values()) == list(plain["per_class"].values())
    assert odd["per_class"]["macro avg"] == {
        "precision": 1.0,
        "recall": 0.5,
        "f1-score": pytest.approx(2 / 3),
        "support": 2.0,
    }
    assert odd["balanced_accuracy"] == 0.75


def test_an_answer_that_is_no_class_is_wrong_and_stands_in_no_column():
    labels, predicted = np.array([0, 0, 1, 1, 2, 2]), np.array([0, -1, 1, 0, -1, 2])
    found = metrics.decided(predicted, labels, NAMES[:3])
    assert (found["n"], found["accuracy"]) == (6, pytest.approx(3 / 6))
    assert found["confusion"] == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    # By hand: precision 1/2, 1, 1 and recall 1/2 each.
    assert found["macro_f1"] == pytest.approx((1 / 2 + 2 / 3 + 2 / 3) / 3)
    assert found["balanced_accuracy"] == pytest.approx(1 / 2)
    assert [row["support"] for row in found["per_class"].values()] == [2, 2, 2]
    other = np.where(predicted < 0, 3, predicted)  # as scikit-learn would be told of a fourth class
    assert found["macro_f1"] == pytest.approx(sk.f1_score(labels, other, labels=[0, 1, 2], average="macro"))


def test_nothing_but_answers_that_are_no_class_scores_nothing():
    found = metrics.decided(np.array([-1, -1]), np.array([0, 1]), NAMES[:2])
    assert (found["accuracy"], found["macro_f1"], found["confusion"]) == (0, 0, [[0, 0], [0, 0]])
