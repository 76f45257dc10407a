"""Texts to token ids: cached by content, cut where the encoding says, described through the tokenizer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disks import files_up_to
from tunesweep.data import tokens
from tunesweep.data.encodings.text import Pair, Text
from tunesweep.data.examples import Examples
from tunesweep.data.prompts import Prompt
from tunesweep.errors import BadConfig, StorageError
from tunesweep.models.tokenizer import load_tokenizer

TEXTS = ["A fine film.", "", "dull " * 40, "A fine film."]


@pytest.fixture
def tokenizer(make_config: Any, cache: Path) -> Any:
    return load_tokenizer(make_config("model=minilm").model, cache)


ASKS = Prompt("Review: {text} Good or bad?", ("text",))


def examples(texts: list[Any]) -> Examples:
    return Examples([str(i) for i in range(len(texts))], texts, ["x"] * len(texts))


def tokenised(tokenizer: Any, folder: Path, texts: list[Any] = TEXTS, **changes: Any) -> Any:
    given: dict[str, Any] = {"length": 16, "known": "t"} | changes
    encoding = given.pop("encoding", None) or Text(max_length=given["length"])
    del given["length"]
    known = given.pop("known")
    return tokens.tokenise(
        examples(texts), encoding, tokenizer, cache=folder, tokenizer_fingerprint=known, **given
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
    changes: list[dict[str, Any]] = [
        *({"length": 8}, {"known": "u"}, {"texts": TEXTS[:3]}, {"prompt": ASKS}),
        *({"prompt": Prompt("{text}?", ("text",))}, {"prompt": Prompt("{text}?", ("text",), after=" ")}),
        {"prompt": ASKS, "befores": ["so. "] * 4},
        {"encoding": Text(max_length=16, cut="head")},
    ]
    for change in changes:
        tokenised(tokenizer, tmp_path, **change)
    assert len(files()) == 1 + len(changes)
    assert all(name.endswith(".arrow") and "part" not in name for name in files())


def test_a_prompt_cuts_the_text_and_never_the_question(tokenizer, tmp_path):
    rows = tokenised(tokenizer, tmp_path, prompt=ASKS, length=12)
    question = tokenizer(" Good or bad?")["input_ids"][1:]  # special tokens are those of the tokenizer
    assert question[-1] == tokenizer.sep_token_id
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


@pytest.mark.parametrize(("length", "prompt"), [(1, None), (2, None), (5, ASKS)])
def test_a_length_without_room_for_a_text_is_refused(tokenizer, tmp_path, length, prompt):
    with pytest.raises(BadConfig, match=rf"^encoding\.max_length={length} leaves no room for a text"):
        tokenised(tokenizer, tmp_path, length=length, prompt=prompt)


PAIRS = [(" ".join("abcdefgh"), " ".join("uvwxyz")), ("a b", "u"), ("", "u v")]
CUT = {  # of eight letters and six, seven stay: four and three, or what one side leaves to the other
    "middle": ("a b g h", "u v z"),
    "fields": ("a b c d", "u v w"),
    "head": ("h", "u v w x y z"),
}


@pytest.mark.parametrize("cut", CUT)
def test_a_pair_that_is_cut_keeps_its_special_tokens(tokenizer, tmp_path, cut):
    rows = tokenised(tokenizer, tmp_path, PAIRS, encoding=Pair(max_length=10, cut=cut))
    expected = tokenizer(*map(list, zip(CUT[cut], *PAIRS[1:], strict=True)))
    assert rows["input_ids"][:] == expected["input_ids"]
    assert rows["token_type_ids"][:] == expected["token_type_ids"]
    assert rows["truncated"][:] == [True, False, False]
    assert [len(ids) for ids in rows["input_ids"]] == rows["length"][:] == [10, 6, 5]


def test_of_a_pair_the_longer_text_is_cut_first(tokenizer, tmp_path):
    rows = tokenised(tokenizer, tmp_path, PAIRS, encoding=Pair(max_length=10))
    expected = tokenizer(*map(list, zip(*PAIRS, strict=True)), truncation="longest_first", max_length=10)
    assert rows["input_ids"][:] == expected["input_ids"]


def test_one_text_is_cut_where_it_is_said(tokenizer, tmp_path):
    text = " ".join("abcdefgh")
    for cut, left in {"head": "d e f g h", "middle": "a b c g h", "tail": "a b c d e"}.items():
        rows = tokenised(tokenizer, tmp_path, [text], encoding=Text(max_length=7, cut=cut))
        assert rows["input_ids"][:] == [tokenizer(left)["input_ids"]], cut


@pytest.fixture
def writer(make_config: Any, cache: Path) -> Any:
    """Return a tokenizer with an END, which is no PAD."""
    return load_tokenizer(make_config("model=random_t5").model, cache)


def test_an_answer_ends_with_end_however_long_it_is(writer, tmp_path):
    answers = [" fine", "", " a b c d e f g h", " b"]
    rows = tokenised(writer, tmp_path, prompt=ASKS, answers=answers, encoding=Answered(max_length=20))
    assert [ids[-1] for ids in rows["answer_ids"]] == [writer.eos_token_id] * 4
    assert writer.eos_token_id != writer.pad_token_id
    texts = [writer.decode(ids[:-1]) for ids in rows["answer_ids"]]
    assert texts == ["fine", "", "a b c", "b"]  # of four tokens the last is END
    assert all(writer.eos_token_id not in ids[:-1] for ids in rows["answer_ids"])


@dataclass(frozen=True, kw_only=True)
class Answered(Text):
    """A text with an answer of few tokens."""

    max_answer: int = 4


def test_an_answer_without_an_end_is_refused(tokenizer, tmp_path):
    assert tokenizer.eos_token_id is None
    with pytest.raises(BadConfig, match=r"no end-of-text token, so no answer would end: set model\.end"):
        tokenised(tokenizer, tmp_path, prompt=ASKS, answers=["x"] * 4)
