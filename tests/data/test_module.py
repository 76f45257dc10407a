"""Three splits as batches: what is learned from, chosen on, reported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from documented_files import FILES
from tunesweep.data import module
from tunesweep.data.module import SealedAnswers
from tunesweep.errors import IntegrityError
from workplace import DIGITS, FEW, at_work


def test_test_labels_open_once():
    sealed = SealedAnswers(np.array([1, 0]))
    assert len(sealed) == 2
    assert not sealed.opened
    assert np.asarray(sealed.open()).tolist() == [1, 0]
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
        assert not data.test_answers.opened


def test_batches_cover_their_split(make_config):
    with at_work(make_config("runtime.eval_batch_size=10", *FEW)) as work:
        data = work.data

        def indexes(loader):
            return sorted(i for batch in loader for i in batch["index"].tolist())

        assert indexes(data.train_dataloader()) == list(range(32))
        assert indexes(data.val_dataloader()) == list(range(8))
        assert indexes(data.test_dataloader()) == list(range(24))
        assert indexes(data.sample_dataloader(7, 3)) == list(range(7))
        assert max(sizes(data.test_dataloader())) <= 10
        ids, loader = data.rows["test"]["input_ids"], data.test_dataloader()
        for batch in loader:
            for row, index in zip(batch["input_ids"].tolist(), batch["index"].tolist(), strict=True):
                assert row[: len(ids[index])] == ids[index]
        assert data.lengths("test") == [len(row) for row in ids]


def sizes(loader):
    return [len(batch["index"]) for batch in loader]


def test_what_is_scored_ends_a_batch_where_padding_would_cost_more(make_config, monkeypatch):
    monkeypatch.setattr(module, "PASS_COST", 1)
    words = ("runtime.eval_batch_size=10", *FEW)
    with at_work(make_config(*words)) as work:
        loaders = (work.data.test_dataloader(), work.data.val_dataloader(), work.data.sample_dataloader(7, 7))
        for loader in loaders:
            shape = [batch["input_ids"].shape for batch in loader]
            assert len(shape) > 1
        assert sizes(work.data.sample_dataloader(7, 7, padded=True)) == [7]
        monkeypatch.setattr(module, "on_gpu", lambda _: True)
        assert sizes(work.data.test_dataloader()) == [10, 10, 4]


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


VOTES = ("dataset=files", "dataset.train=votes.jsonl", "dataset.text=prompt", "dataset.responses=[a,b]")
PREFERENCE = (
    *VOTES,
    "dataset.label=winner",
    "dataset.swap=[a,b]",
    "encoding=preference",
    "encoding.max_length=64",
)


def test_responses_are_exchanged_in_their_places_and_nothing_else(make_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("votes.jsonl").write_text(str(FILES["votes.jsonl"]))
    with at_work(make_config(*PREFERENCE, "runtime.eval_batch_size=4")) as work:
        seen = {}
        for batch in work.data.swapped_test_dataloader():
            assert "labels" not in batch
            texts = work.data.tokenizer.batch_decode(batch["input_ids"], skip_special_tokens=True)
            seen |= dict(zip(batch["index"].tolist(), texts, strict=True))
        plain = work.data.tokenizer.batch_decode(
            work.data.rows["test"]["input_ids"][:], skip_special_tokens=True
        )
        assert sorted(seen) == list(range(6))
        for index, (prompt, a, b) in enumerate(work.data.splits.test.inputs):
            assert seen[index] == f"prompt : {prompt} response a : {b} response b : {a}"
            assert plain[index] == f"prompt : {prompt} response a : {a} response b : {b}"
        assert not work.data.test_answers.opened


WRITTEN = ("model=random_t5", "readout=generate", "method=full")


def test_what_is_written_has_its_length_in_both_parts_and_its_answers_where_they_are_learnt(make_config):
    with at_work(make_config(*FEW, *WRITTEN, "+readout.words={fresh: a good film, rotten: bad}")) as work:
        data, rows = work.data, work.data.rows
        expected = [
            len(q) + len(a)
            for q, a in zip(rows["train"]["input_ids"], rows["train"]["answer_ids"], strict=True)
        ]
        assert data.lengths("train") == expected
        assert "answer_ids" not in rows["test"].column_names
        assert data.lengths("test") == [len(ids) for ids in rows["test"]["input_ids"]]
        labels = data.splits.train.labels
        assert data.batches.terms.tolist() == [
            {"fresh": 4, "rotten": 2}[label] for label in labels
        ]  # END counts
        # The likelihood of an answer is asked where there are answers.
        assert all("answer_ids" in batch for batch in data.sample_dataloader(4, 2))


def test_answers_of_instructions_are_scored_and_sealed(make_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("told.csv").write_text(str(FILES["told.csv"]))
    words = ("dataset=files", "dataset.task=instruction", "dataset.train=told.csv", "dataset.text=prompt")
    with at_work(make_config(*WRITTEN, *words, "encoding=instruction", "encoding.max_length=32")) as work:
        data = work.data
        assert (data.names, data.labels) == ([], {"train": None, "select": None})
        assert "answer_ids" in data.rows["test"].column_names
        assert data.test_answers.open() == data.splits.test.labels
        assert data.description()["labels"] == []


def test_a_running_text_is_read_in_windows(make_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("book.txt").write_text(str(FILES["book.txt"]))
    words = (
        "dataset=files",
        "dataset.task=language_modeling",
        "dataset.train=book.txt",
        "dataset.format=text",
    )
    with at_work(make_config(*WRITTEN, *words, "encoding=blocks", "encoding.max_length=8")) as work:
        data = work.data
        assert set(data.lengths("train")) == {8}
        assert data.batches.terms.tolist() == [7] * len(data.rows["train"])
        for batch in data.test_dataloader():
            assert set(batch) == {"input_ids", "attention_mask", "index", "scored"}
