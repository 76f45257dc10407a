"""Classification: class weights, the final score, and what the order of two responses does."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import binomtest
from sklearn import metrics as sk
from sklearn.utils.class_weight import compute_class_weight

from tunesweep.tasks.classification import Classification, class_weights
from tunesweep.tasks.task import Scored
from workplace import attached, tiny

NAMES = ["a", "b", "tie"]
PAIRS = ("dataset=files", "dataset.responses=[one,two]", "dataset.swap=[a,b]", "encoding=preference")


def data(**parts: Any) -> Any:
    return SimpleNamespace(names=NAMES, **parts)


def test_class_weights_equal_scikit_learns(make_config):
    train = make_config("train.class_weights=balanced").train
    labels = np.array([0] * 5 + [1] * 2 + [2] * 13)
    rows = data(labels={"train": labels})
    weights = class_weights(train, rows)
    assert weights is not None
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(weights.numpy(), expected, rtol=1e-6)
    assert weights.numpy()[labels].mean() == pytest.approx(1)
    assert class_weights(make_config().train, rows) is None


def test_the_final_score_is_of_the_logits(make_config):
    logits = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    labels = np.random.default_rng(1).integers(3, size=40)
    found = Classification(make_config(), data()).judge(Scored({}, seen={"logits": logits}), labels)
    right = int((logits.argmax(1) == labels).sum())
    assert found.metrics["accuracy"] == right / 40
    assert tuple(found.metrics["interval"]) == pytest.approx(
        tuple(binomtest(right, 40).proportion_ci(method="wilson"))
    )
    chances = softmax(logits.astype(np.float64), axis=1)
    assert found.metrics["log_loss"] == pytest.approx(sk.log_loss(labels, chances))
    assert "order_consistency" not in found.metrics
    assert found.columns["label"] == [NAMES[i] for i in labels]
    assert found.columns["prediction"] == [NAMES[i] for i in logits.argmax(1)]
    np.testing.assert_allclose(found.columns["p:tie"], chances[:, 2])
    np.testing.assert_allclose(np.exp(-found.columns["loss"]), chances[np.arange(40), labels])


def test_what_the_order_of_two_responses_does_is_counted(make_config):
    """Three of four change places, or are a tie, in the other order; `a` is said four times, `b` twice."""
    task = Classification(make_config(*PAIRS, "dataset.train=x.csv"), data())
    logits, swapped = (
        np.eye(3)[[NAMES.index(n) for n in said.split()]] for said in ("a b tie a", "b a tie a")
    )
    seen = {"logits": logits, "swapped": swapped}
    found = task.judge(Scored({}, seen=seen), np.array([0, 1, 2, 0])).metrics
    assert found["order_consistency"] == 3 / 4
    assert found["position_bias"] == (4 - 2) / 8
    assert found["accuracy"] == 1  # of the order in which the data stand


def comparisons(folder: Path, name: str, header: str) -> Path:
    path = folder / name
    rows = [f"which {i},fine {i}{' indeed' * (i % 3)},dull {i},{NAMES[i % 3]}" for i in range(30)]
    path.write_text("\n".join([header, *rows]))
    return path


def test_the_other_order_is_what_data_in_the_other_order_would_be(make_config, tmp_path):
    """The same file read with its two columns named the other way round."""
    found = []
    for header in ("text,one,two,label", "text,two,one,label"):
        path = comparisons(tmp_path, f"{header[5:8]}.csv", header)
        words = (
            *tiny("random_bert"),
            *PAIRS,
            f"dataset.train={path}",
            "method=full",
            "encoding.max_length=64",
        )
        with attached(make_config(*words, "readout=linear")) as work:
            found.append(work.task.evaluate(work.network).seen)
    one, other = found
    assert np.abs(one["logits"] - one["swapped"]).max() > 1e-4
    np.testing.assert_allclose(one["swapped"], other["logits"], atol=1e-6)
    np.testing.assert_allclose(one["logits"], other["swapped"], atol=1e-6)
