"""Texts to token ids: cached by content, cut where the encoding says, described through the tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disks import files_up_to
from tunesweep.data import tokens
from tunesweep.data.encodings.text import Text
from tunesweep.data.examples import Examples
from tunesweep.errors import BadConfig, StorageError
from tunesweep.models.tokenizer import load_tokenizer

TEXTS = ["A fine film.", "", "dull " * 40, "A fine film."]


@pytest.fixture
def tokenizer(make_config: Any, cache: Path) -> Any:
    return load_tokenizer(make_config("model=minilm").model, cache)


def examples(texts: list[Any]) -> Examples:
    return Examples([str(i) for i in range(len(texts))], texts, ["x"] * len(texts))


def tokenised(tokenizer: Any, folder: Path, texts: list[Any] = TEXTS, **changes: Any) -> Any:
    given: dict[str, Any] = {"length": 16, "prompt": None, "known": "t"} | changes
    encoding = Text(name="text", max_length=given["length"])
    return tokens.tokenise(
        examples(texts),
        encoding,
        tokenizer,
        prompt=given["prompt"],
        cache=folder,
        tokenizer_fingerprint=given["known"],
    )


def test_ids_are_the_tokenizers_own(tokenizer, tmp_path):
    rows = tokenised(tokenizer, tmp_path)
    for text, ids in zip(TEXTS, rows["input_ids"], strict=True):
        assert ids == tokenizer(text)["input_ids"][:15] + ([tokenizer.sep_token_id] if len(ids) == 16 else [])
    assert list(rows["truncated"]) == [False, False, True, False]
    assert list(rows["index"]) == [0, 1, 2, 3]
    assert max(map(len, rows["input_ids"])) == 16


def test_the_cache_is_read_again_and_keyed_by_all_that_matters(tokenizer, tmp_path):
    def files() -> set[str]:
        return {path.name for path in (tmp_path / "tokens").iterdir()}

    tokenised(tokenizer, tmp_path)
    first = files()
    assert len(first) == 1

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("the tokenizer was asked again")

    assert tokenised(refuse, tmp_path)["input_ids"] == tokenised(tokenizer, tmp_path)["input_ids"]
    for change in ({"length": 8}, {"prompt": "{text}?"}, {"known": "u"}, {"texts": TEXTS[:3]}):
        tokenised(tokenizer, tmp_path, **change)
    assert len(files()) == 5
    assert all(name.endswith(".arrow") and "part" not in name for name in files())


def test_a_prompt_cuts_the_text_and_never_the_question(tokenizer, tmp_path):
    rows = tokenised(tokenizer, tmp_path, prompt="Review: {text} Good or bad?", length=12)
    question = tokenizer(" Good or bad?", add_special_tokens=False)["input_ids"]
    assert all(ids[-len(question) :] == question for ids in rows["input_ids"])
    assert max(map(len, rows["input_ids"])) == 12
    assert list(rows["truncated"])[2]


def test_a_failed_write_leaves_no_file_and_one_sentence(tokenizer, tmp_path):
    with pytest.raises(StorageError, match="token ids cannot be written to"), files_up_to(100):
        tokenised(tokenizer, tmp_path, texts=[f"text number {i}" for i in range(2000)])
    assert list((tmp_path / "tokens").iterdir()) == []


def test_the_fingerprint_is_of_sequences_not_of_their_concatenation(tokenizer, tmp_path):
    prints = {
        tokens.fingerprint(tokenised(tokenizer, tmp_path, texts=texts))
        for texts in (["a b", "c"], ["a", "b c"], ["a b", "C"])
    }
    assert len(prints) == 2  # the third is the first again: this tokenizer lower-cases


def test_the_description_counts_tokens(tokenizer, tmp_path):
    rows = tokenised(tokenizer, tmp_path)
    said = tokens.description(rows, examples(TEXTS), Text(name="text", max_length=16), tokenizer)
    lengths = [len(ids) for ids in rows["input_ids"]]
    assert said["tokens_mean"] == pytest.approx(np.mean(lengths))
    assert said["tokens_max"] == 16
    assert said["truncated_share"] == 0.25


@pytest.mark.parametrize(("length", "prompt"), [(1, None), (2, None), (5, "{text} Good or bad?")])
def test_a_length_without_room_for_a_text_is_refused(tokenizer, tmp_path, length, prompt):
    with pytest.raises(BadConfig, match=rf"encoding\.max_length={length} leaves no room for a text"):
        tokenised(tokenizer, tmp_path, length=length, prompt=prompt)
