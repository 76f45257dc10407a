"""Three splits as batches: what is learned from, chosen on, reported."""

from __future__ import annotations

import numpy as np
import pytest

from tunesweep.data.module import SealedLabels
from tunesweep.errors import IntegrityError
from workplace import DIGITS, FEW, at_work


def test_test_labels_open_once():
    sealed = SealedLabels(np.array([1, 0]))
    assert len(sealed) == 2
    assert not sealed.opened
    assert sealed.open().tolist() == [1, 0]
    with pytest.raises(IntegrityError, match="read twice"):
        sealed.open()


def test_only_train_and_select_carry_labels(make_config):
    with at_work(make_config(*FEW)) as work:
        data = work.data
        loaders = {"train": data.train_dataloader(), "select": data.val_dataloader()}
        for name, loader in loaders.items():
            examples = getattr(data.splits, name)
            for batch in loader:
                names = [data.names[label] for label in batch["labels"].tolist()]
                assert names == [examples.labels[index] for index in batch["index"].tolist()]
        assert all("labels" not in batch for batch in data.test_dataloader())
        assert all("labels" not in batch for batch in data.sample_dataloader(8, 4))
        assert not data.test_labels.opened


def test_batches_cover_their_split(make_config):
    with at_work(make_config("runtime.eval_batch_size=10", *FEW)) as work:
        data = work.data

        def indexes(loader):
            return sorted(i for batch in loader for i in batch["index"].tolist())

        assert indexes(data.train_dataloader()) == list(range(32))
        assert indexes(data.val_dataloader()) == list(range(8))
        assert indexes(data.test_dataloader()) == list(range(24))
        assert indexes(data.sample_dataloader(7, 3)) == list(range(7))
        assert [len(batch["index"]) for batch in data.test_dataloader()] == [10, 10, 4]
        ids, loader = data.rows["test"]["input_ids"], data.test_dataloader()
        for batch in loader:
            for row, index in zip(batch["input_ids"].tolist(), batch["index"].tolist(), strict=True):
                assert row[: len(ids[index])] == ids[index]
        assert data.lengths("test") == [len(row) for row in ids]


def test_a_model_on_pixels_sees_the_pictures(make_config):
    with at_work(make_config("model=logistic", *DIGITS, "dataset.limit.test=50")) as work:
        batch = next(iter(work.data.test_dataloader()))
        pictures = np.asarray(work.data.splits.test.inputs)[batch["index"].numpy()]
        np.testing.assert_allclose(batch["pixels"].squeeze(1).numpy(), pictures / 16)
        assert work.data.lengths("test") == [1] * 50
        assert work.data.encoding_description() == {"name": "none"}


def order(make_config, *overrides):
    with at_work(make_config(*FEW, *overrides)) as work:
        train = work.data.splits.train.ids
        return train, [i for batch in work.data.train_dataloader() for i in batch["index"].tolist()]


def test_seeds_of_data_and_split_are_separate(make_config):
    rows, first = order(make_config)
    assert order(make_config, "seeds.init=5") == (rows, first)
    same_rows, other = order(make_config, "seeds.data=5")
    assert (same_rows, other != first) == (rows, True)
    assert order(make_config, "seeds.split=5")[0] != rows
    assert order(make_config, "seed=5") == (rows, other)  # a seed is no split


def test_the_description_names_what_was_scored(make_config):
    with at_work(make_config(*FEW)) as work:
        said, encoding = work.data.description(), work.data.encoding_description()
        assert said["labels"] == ["fresh", "rotten"]
        with at_work(make_config(*FEW, "seeds.split=1")) as other:
            assert other.data.description()["scored_ids"] != said["scored_ids"]
        assert encoding["tokens_max"] == max(work.data.lengths("test")) <= 48
