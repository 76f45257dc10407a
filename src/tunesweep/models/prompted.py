"""The readouts that ask a language-model head, from a configuration."""

from __future__ import annotations

from collections import Counter
from typing import Any

from torch import nn

from tunesweep.capabilities import packs
from tunesweep.config import RunConfig
from tunesweep.data import prompts
from tunesweep.data.module import DataModule
from tunesweep.errors import BadConfig
from tunesweep.models.generation import Generator
from tunesweep.models.label_words import BLANKS, LabelWords, Masked, Scorer, Words, Written
from tunesweep.models.language import LANGUAGES, unwrapped
from tunesweep.models.packing import Packed


def label_words(config: RunConfig, body: nn.Module, data: DataModule) -> LabelWords:
    """Return the readout that compares the likelihoods of the classes' words."""
    words, readout = Words.of(list(word_ids(config, data).values())), config.readout
    scorer: Scorer
    if config.model.family == "encoder":
        scorer = _masked(config, words, data)
    else:
        scorer = Written(LANGUAGES[config.model.family](data.prefix), words)
    blanks = _blanks(config, data) if readout.calibration else []
    return LabelWords(
        body, scorer, words, normalise=readout.normalise, calibration=readout.calibration, blanks=blanks
    )


def generator(config: RunConfig, body: nn.Module, data: DataModule) -> Generator:
    """Return the readout that writes, and says how likely a text is."""
    allowed = None
    if config.readout.constrain and data.names:
        allowed = [word for words in word_ids(config, data).values() for word in words]
    language = Packed() if packs(config) else LANGUAGES[config.model.family](data.prefix)
    return Generator(body, language, ends=_ends(body, data), pad=data.tokenizer.pad_token_id, allowed=allowed)


def word_ids(config: RunConfig, data: DataModule) -> dict[str, list[list[int]]]:
    """Return the token ids of each class's words, in the order of the classes."""
    said = config.readout.words or {name: name for name in data.names}
    missing = [name for name in data.names if name not in said]
    if missing:
        raise BadConfig(f"readout.words={said} lacks a word for {', '.join(missing)}: give every class one")
    space = prompts.leading_space(data.texts.bare) if data.texts and data.texts.bare else " "
    found = {
        name: [prompts.continuations(data.tokenizer, [f"{space}{w}"])[0] for w in _listed(said[name])]
        for name in data.names
    }
    _check_words(said, found)
    return found


def _listed(words: Any) -> list[str]:
    return [str(word) for word in (words if isinstance(words, list | tuple) else [words])]


def _check_words(said: dict[str, Any], found: dict[str, list[list[int]]]) -> None:
    empty = [name for name, words in found.items() if not words or not all(words)]
    if empty:
        raise BadConfig(
            f"readout.words={said} holds no token for {', '.join(empty)}: give every class a word"
        )
    counts = Counter(tuple(word) for words in found.values() for word in words)
    if max(counts.values()) > 1:
        raise BadConfig(
            f"readout.words={said} must differ from class to class, also as this model's tokens: "
            "give every class words of its own"
        )


def _masked(config: RunConfig, words: Words, data: DataModule) -> Masked:
    tokenizer, limit = data.tokenizer, config.model.max_length
    if tokenizer.mask_token_id is None:
        raise BadConfig(
            f"readout.name=label_words fills in a mask token, and model={config.model.name} has none: "
            "use readout=head or linear"
        )
    scorer = Masked(words, tokenizer.mask_token_id, len(prompts.specials(tokenizer)[1]), data.prefix)
    room = None if limit is None else limit - scorer.lengths[-1] - len(data.prefix)
    if room is not None and _length(data) > room:
        raise BadConfig(
            f"encoding.max_length={_length(data)} leaves model={config.model.name} no room for "
            f"the tokens of a word: at most {room}"
        )
    return scorer


def _blanks(config: RunConfig, data: DataModule) -> list[list[int]]:
    """Return the prompts that a calibration asks about: without content in the place of the text."""
    assert data.texts is not None
    assert data.texts.prompt is not None
    assert config.readout.calibration is not None
    prompt = data.texts.prompt
    call = prompts.PromptCall(prompt, data.tokenizer, _length(data), getattr(data.encoding, "cut", "tail"))
    texts = BLANKS[config.readout.calibration]
    rows: list[Any] = [text if len(prompt.names) == 1 else (text,) * len(prompt.names) for text in texts]
    return call(rows)["input_ids"]


def _length(data: DataModule) -> int:
    assert data.encoding is not None
    return int(data.encoding.max_length)


def _ends(body: nn.Module, data: DataModule) -> list[int]:
    """Return the tokens that end an answer: a chat model has one for a turn beside that for a text."""
    told = getattr(unwrapped(body), "generation_config", None)
    ends = getattr(told, "eos_token_id", None)
    found = {*(ends if isinstance(ends, list) else [ends]), data.tokenizer.eos_token_id} - {None}
    if not found:
        raise BadConfig("this tokenizer has no end-of-text token, so no answer would end: set model.end")
    return sorted(found)
