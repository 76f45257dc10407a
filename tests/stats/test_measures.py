"""Each measure against scikit-learn or the formula, on drawn rows."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from tunesweep import metrics
from tunesweep.stats import measures

RNG = np.random.default_rng(3)
LABELS, PREDICTED = RNG.integers(0, 4, 60), RNG.integers(-1, 4, 60)
DRAWS = RNG.integers(0, 60, (5, 7, 40))


def each(function):
    return np.array([[function(rows) for rows in block] for block in DRAWS])


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_scores_of_classes_are_those_of_scikit_learn():
    def f1(rows):
        true, said = LABELS[rows], PREDICTED[rows]
        known = np.union1d(true, said[said >= 0])
        return f1_score(true, said, labels=known, average="macro", zero_division=0)

    found = measures.macro_f1(LABELS, PREDICTED, 4)(DRAWS, axis=-1)
    np.testing.assert_allclose(found, each(f1), rtol=1e-12)
    found = measures.balanced_accuracy(LABELS, PREDICTED, 4)(DRAWS, axis=-1)
    wanted = each(lambda rows: balanced_accuracy_score(LABELS[rows], PREDICTED[rows]))
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_a_class_that_a_draw_has_not_has_no_part_in_its_mean():
    rows = np.flatnonzero(LABELS < 2)
    found = measures.balanced_accuracy(LABELS, PREDICTED, 4)(rows)
    assert found == pytest.approx(np.mean([(PREDICTED[k == LABELS] == k).mean() for k in (0, 1)]))


def test_the_calibration_error_is_that_of_a_record():
    probability = RNG.dirichlet(np.ones(4), 60)
    confidence, right = probability.max(axis=1), probability.argmax(axis=1) == LABELS
    found = measures.calibration_error(confidence, right)(DRAWS)
    wanted = each(lambda rows: metrics.calibration_error(probability[rows], LABELS[rows]))
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_perplexity_is_a_ratio_of_sums_and_a_mean_leaves_out_what_is_not_known():
    nll, tokens = RNG.gamma(2.0, 3.0, 60), RNG.integers(1, 9, 60).astype(float)
    found = measures.perplexity(nll, tokens)(DRAWS)
    np.testing.assert_allclose(found, each(lambda rows: np.exp(nll[rows].sum() / tokens[rows].sum())))
    values = np.where(RNG.random(60) < 0.3, np.nan, nll)
    np.testing.assert_allclose(measures.mean(values)(DRAWS), each(lambda rows: np.nanmean(values[rows])))
