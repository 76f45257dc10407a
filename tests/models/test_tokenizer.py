"""PAD and its side, decided in one place (R12)."""

from __future__ import annotations

from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tunesweep.errors import BadConfig
from tunesweep.models.tokenizer import _pad_token, load_tokenizer, tokenizer_fingerprint


def made(*words: str, **special: str) -> Any:
    """Return a word tokenizer that knows these words."""
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=words[0]))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=inner, **special)


@pytest.mark.parametrize(
    ("tokenizer", "expected"),
    [
        (made("a", "[PAD]", "</s>", eos_token="</s>", pad_token="[PAD]"), "[PAD]"),
        (made("a", "<pad>", "</s>", eos_token="</s>", pad_token="</s>"), "<pad>"),
        (made("a", "<unk>", "</s>", eos_token="</s>", unk_token="<unk>"), "<unk>"),
        (made("a", "<odd>", "</s>", eos_token="</s>", unk_token="<odd>"), "<odd>"),
        (
            made("a", "</s>", "<|finetune_right_pad_id|>", "<pad>", eos_token="</s>"),
            "<|finetune_right_pad_id|>",
        ),
        (made("a", "</s>", eos_token="</s>"), "</s>"),
    ],
)
def test_pad_is_never_end_of_text_where_another_token_is_spare(tokenizer, expected):
    assert _pad_token(tokenizer) == expected


def test_padding_stands_on_the_right_and_is_masked(make_config, cache):
    tokenizer = load_tokenizer(make_config("model=minilm").model, cache)
    batch = tokenizer(["a film", "a much longer film than that"], padding=True)
    first = batch["attention_mask"][0]
    assert (tokenizer.padding_side, tokenizer.truncation_side) == ("right", "right")
    assert first == sorted(first, reverse=True)
    assert 0 in first
    assert batch["input_ids"][0][-1] == tokenizer.pad_token_id


def test_the_pad_of_a_chat_model_is_not_what_ends_a_turn(make_config, cache, tmp_path, smollm2_tokenizer):
    smollm2_tokenizer.save_pretrained(tmp_path / "tokenizer")
    words = ("model=smollm2_135m", f"model.tokenizer={tmp_path / 'tokenizer'}")
    tokenizer = load_tokenizer(make_config(*words).model, cache)
    assert tokenizer.pad_token == "<empty_output>"
    assert tokenizer.pad_token_id != tokenizer.eos_token_id


def test_a_pad_that_is_no_token_is_refused(make_config, cache):
    with pytest.raises(BadConfig, match=r"model\.pad=none_such is not a token"):
        load_tokenizer(make_config("model.pad=none_such").model, cache)


def test_the_fingerprint_follows_what_the_tokenizer_does():
    one, same = (made("a", "<pad>", pad_token="<pad>") for _ in range(2))
    assert tokenizer_fingerprint(one) == tokenizer_fingerprint(same)
    others = [made("a", "b", "<pad>", pad_token="<pad>"), made("a", "<pad>", pad_token="a")]
    assert len({tokenizer_fingerprint(t) for t in (one, *others)}) == 3


def test_the_fingerprint_is_the_tokenizers_and_not_that_of_its_last_call(make_config, cache):
    tokenizer = load_tokenizer(make_config().model, cache)
    before = tokenizer_fingerprint(tokenizer)
    tokenizer(["a text", "a longer text"], truncation=True, max_length=4, padding=True)
    assert tokenizer_fingerprint(tokenizer) == before
    other = made("a", "[PAD]", pad_token="[PAD]")
    assert tokenizer_fingerprint(other) != before


def test_an_end_can_be_named_where_there_is_none(make_config, cache):
    assert load_tokenizer(make_config("model=minilm").model, cache).eos_token is None
    tokenizer = load_tokenizer(make_config("model=minilm", "model.end='[SEP]'").model, cache)
    assert (tokenizer.eos_token, tokenizer.eos_token_id, tokenizer.pad_token) == ("[SEP]", 102, "[PAD]")
    with pytest.raises(BadConfig, match=r"model\.end=none_such is not a token"):
        load_tokenizer(make_config("model.end=none_such").model, cache)


def test_a_tokenizer_may_lie_elsewhere(make_config, cache, tmp_path):
    made("a", "film", "[PAD]", pad_token="[PAD]").save_pretrained(tmp_path)
    tokenizer = load_tokenizer(make_config("model=minilm", f"model.tokenizer={tmp_path}").model, cache)
    assert tokenizer("a film")["input_ids"] == [0, 1]
