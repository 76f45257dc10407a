from __future__ import annotations

import numpy as np
import pytest

from tunesweep import perplexity, predictions
from tunesweep.report.rows import Row
from tunesweep.report.scores import of_metric, reader


def test_accuracy_is_read_in_the_order_of_ids(record, store):
    made = record("a")
    made.artefacts["predictions"] = "predictions/a.parquet"
    columns = {"label": ["x", "y", "x"], "prediction": ["x", "x", "x"]}
    predictions.write(store.path("predictions", "a"), ["c", "a", "b"], columns)
    assert list(reader(store)(Row.from_record(made))) == [0.0, 1.0, 1.0]


@pytest.mark.parametrize("content", [None, b"", b"no parquet"])
def test_what_cannot_be_read_is_nothing(record, store, content):
    made = record("a")
    made.artefacts["predictions"] = "predictions/a.parquet"
    path = store.path("predictions", "a")
    path.parent.mkdir(parents=True)
    if content is not None:
        path.write_bytes(content)
    assert reader(store)(Row.from_record(made)) is None


def test_other_columns_are_nothing(record, store):
    made = record("a")
    made.artefacts["predictions"] = "predictions/a.parquet"
    predictions.write(store.path("predictions", "a"), ["a"], {"text": ["x"]})
    assert reader(store)(Row.from_record(made)) is None


def test_losses_have_the_mean_and_the_error_of_a_ratio():
    rng = np.random.default_rng(0)
    count = rng.integers(5, 50, 300)
    nll = count * rng.normal(2.5, 0.4, 300)
    scores = of_metric("perplexity", {"nll": nll, "tokens": count})
    assert scores.mean() == pytest.approx(nll.sum() / count.sum())
    error = scores.std(ddof=1) / 300**0.5
    assert error == pytest.approx(perplexity.standard_error(nll, count), rel=1e-12)
