"""The tokenizer, with PAD and its side decided in one place (R12)."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from tunesweep.config import ModelConfig
from tunesweep.errors import BadConfig
from tunesweep.identity import digest
from tunesweep.models import sources, vocabulary

# What tokenizers keep for fine-tuning; an unknown token is better than end-of-text, which must be learned.
_SPARE = (
    "<|finetune_right_pad_id|>",
    "<pad>",
    "[PAD]",
    "<unk>",
    "<|reserved_special_token_0|>",
    "<|endoftext|>",
)


def load_tokenizer(model: ModelConfig, cache: Path) -> Any:
    """Return a fast tokenizer with a PAD token that is not end-of-text, padding on the right."""
    if model.tokenizer:
        folder, revision = vocabulary.place(model)
    else:
        folder, revision = str(sources.weights_folder(model, cache)), model.revision
    return _load(folder, revision, model.pad, model.end, model.trust_remote_code)


@lru_cache(maxsize=4)
def _load(
    folder: str, revision: str | None, pad: str | None, end: str | None, trust_remote_code: bool
) -> Any:
    from transformers import AutoTokenizer

    # A folder has no revisions; None would be passed on as one.
    extra = {"revision": revision} if revision else {}
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code, **extra)
    for key, token in (("pad", pad), ("end", end)):
        if token is not None and token not in tokenizer.get_vocab():
            raise BadConfig(
                f"model.{key}={token} is not a token of this tokenizer: name one of its special tokens"
            )
    if end is not None:
        tokenizer.eos_token = end
    tokenizer.pad_token = pad or _pad_token(tokenizer)
    tokenizer.padding_side = tokenizer.truncation_side = "right"
    return tokenizer


def _pad_token(tokenizer: Any) -> str:
    """Choose PAD: the tokenizer's own, else a spare one, unless that is what ends a text."""
    vocabulary, end = tokenizer.get_vocab(), tokenizer.eos_token
    for token in (tokenizer.pad_token, *_SPARE, tokenizer.unk_token):
        if token is not None and token != end and token in vocabulary:
            return str(token)
    return str(end)  # nothing is spare: the attention mask keeps it apart


def tokenizer_fingerprint(tokenizer: Any) -> str:
    """Return a hash of everything the tokenizer does, from its own serialised form.

    That form also tells how the last call was cut and padded, which is no part of the tokenizer.
    """
    state = json.loads(tokenizer.backend_tokenizer.to_str()) | {"truncation": None, "padding": None}
    return digest([state, tokenizer.pad_token_id, tokenizer.eos_token_id])
