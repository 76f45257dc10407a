"""The encoding lost the digit, or the model failed: nearest neighbours tell them apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from image_encodings import image_encoding
from sklearn.metrics import accuracy_score
from sklearn.neighbors import KNeighborsClassifier

from tunesweep import identity
from tunesweep.data import information
from workplace import at_work

FEW = ("dataset=digits", "dataset.limit.train=200", "dataset.limit.select=60", "dataset.limit.test=20")


def nearest(splits) -> float:
    """Ask scikit-learn for the select split by the raw pixels."""
    flat = [np.asarray(part.inputs, float).reshape(len(part), -1) for part in (splits.train, splits.select)]
    model = KNeighborsClassifier(1).fit(flat[0], splits.train.labels)
    return accuracy_score(splits.select.labels, model.predict(flat[1]))


@pytest.mark.parametrize("encoding", ["pixels_flat", "normalized_rows"])
def test_an_encoding_that_keeps_all_keeps_the_accuracy_exactly(make_config, encoding):
    config = make_config(*FEW, f"encoding={encoding}")
    with at_work(config) as work:
        found = work.record.encoding
        assert found["kept_pixels"] == 1.0
        assert found["pixel_accuracy"] == nearest(work.data.splits)
        assert found["kept_accuracy"] == found["pixel_accuracy"] > 0.8
        assert not work.data.test_answers.opened


def test_an_encoding_that_cannot_be_read_is_chance(make_config):
    with at_work(make_config(*FEW, "encoding=base64_flat")) as work:
        found, splits = work.record.encoding, work.data.splits
        assert found["kept_pixels"] == 0.0
        shares = [splits.select.labels.count(name) / len(splits.select) for name in splits.labels]
        assert found["kept_accuracy"] <= max(shares) + 0.05 < 0.25
        assert found["pixel_accuracy"] == nearest(splits)


def test_a_text_that_was_cut_short_loses_something_in_between(make_config):
    with at_work(make_config(*FEW, "encoding=pixels_flat", "encoding.max_length=24")) as work:
        found = work.record.encoding
        assert 0.15 < found["kept_accuracy"] < found["pixel_accuracy"]


def test_labels_of_the_test_split_have_no_part_in_it(make_config):
    with at_work(make_config(*FEW, "encoding=pixels_flat")) as work:
        splits = work.data.splits
        turned = replace(splits.test, labels=["0"] * len(splits.test))
        args = work.data.rows, replace(splits, test=turned), work.data.encoding, work.data.tokenizer
        assert information.kept(*args)["kept_accuracy"] == work.record.encoding["kept_accuracy"]


def test_no_more_than_five_hundred_are_looked_at_and_the_same_each_time():
    assert information.sample(500).tolist() == list(range(500))
    state = np.random.get_state()[1].copy()
    places = information.sample(4000)
    assert (np.random.get_state()[1] == state).all()
    assert len(set(places.tolist())) == 500
    assert places.tolist() == information.sample(4000).tolist()
    assert places.max() > 3500


def test_what_cannot_be_read_is_dark():
    encoding = image_encoding("pixels_flat")
    images = np.zeros((1, 2, 2))
    assert information.decoded(encoding, ["1 2 3 4"], images).tolist() == [[[1.0, 2.0], [3.0, 4.0]]]
    assert information.decoded(encoding, ["..."], images).tolist() == [[[0.0, 0.0], [0.0, 0.0]]]


def test_it_is_no_part_of_who_a_run_is(make_config):
    text = str(identity.canonical(make_config(*FEW)))
    assert "kept_accuracy" not in text
    assert "pixel_accuracy" not in text
