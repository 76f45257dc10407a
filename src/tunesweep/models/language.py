"""A language-model head as readouts use it: a prompt is read once, and from there several things are asked.

Rows are padded on the right, so that positions need no telling: virtual tokens of prompt methods stand
before the text, and padding after it, whatever PEFT does to positions. Only the first pass goes through
PEFT's wrapper, which puts the virtual tokens there; they are in the cache afterwards.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

# Tokens that must be saved in a batch before an opening is worth a pass of its own: about what a pass costs
# by itself on a CPU (see data/module.py).
SAVED = 500


class Places(NamedTuple):
    """Where logits are wanted: rows of a batch, and columns in its tokens, [places] each."""

    rows: Tensor
    columns: Tensor


@dataclass(frozen=True)
class Reading:
    """What a model has read: keys and values, which tokens are real, and an encoder's states."""

    cache: Any
    mask: Tensor  # [batch, tokens], virtual ones included
    encoded: Tensor | None = None  # [batch, tokens, width]


class Language(ABC):
    """A causal or a sequence-to-sequence model; it keeps nothing of the body, which a method may replace."""

    def __init__(self, prefix: Sequence[int] = ()) -> None:
        """`prefix`: tokens before every prompt, such as solved examples."""
        self.prefix = list(prefix)
        self.whole_rows = False  # whether each row is read from its first token, though others begin alike

    @abstractmethod
    def forget(self) -> None:
        """Drop what depends on the weights."""

    @abstractmethod
    def begin(self, body: nn.Module, ids: Tensor, mask: Tensor) -> tuple[Tensor, Reading]:
        """Read prompts [batch, tokens]; return logits of the first token to write [batch, vocabulary]."""

    @abstractmethod
    def go_on(self, body: nn.Module, reading: Reading, ids: Tensor) -> tuple[Tensor, Reading]:
        """Read more tokens [batch x n, k], each example's n continuations side by side.

        Returns the logits after each of them [batch x n, k, vocabulary]. The reading stays as it is.
        """

    @abstractmethod
    def answer_logits(self, body: nn.Module, ids: Tensor, mask: Tensor, answers: Sequence[Tensor]) -> Tensor:
        """Return, in one plain pass, the logits that predict every answer token [all tokens, vocabulary].

        There is one answer of one token or more for each row of ids [batch, tokens].
        """

    def _after_prefix(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Put the prefix before every row."""
        if not self.prefix:
            return ids, mask
        prefix = torch.tensor(self.prefix, device=ids.device).expand(len(ids), -1)
        return torch.cat((prefix, ids), 1), torch.cat((torch.ones_like(prefix), mask), 1)


class Causal(Language):
    """A decoder: in evaluation what all prompts begin with, the prefix and more, is read once for them."""

    def __init__(self, prefix: Sequence[int] = ()) -> None:
        super().__init__(prefix)
        self._begun: tuple[list[int], Reading] | None = None  # ids beyond the prefix, and all that was read

    def forget(self) -> None:
        """Drop the keys and values of what prompts begin with."""
        self._begun = None

    def begin(self, body: nn.Module, ids: Tensor, mask: Tensor) -> tuple[Tensor, Reading]:
        """See `Language.begin`."""
        rows = torch.arange(len(ids), device=ids.device)
        return self._read(body, ids, mask, Places(rows, mask.sum(1) - 1), keep=True)

    def go_on(self, body: nn.Module, reading: Reading, ids: Tensor) -> tuple[Tensor, Reading]:
        """See `Language.go_on`; real tokens are counted for positions, since padding may lie between."""
        times = len(ids) // len(reading.mask)
        mask = reading.mask.repeat_interleave(times, 0)
        positions = mask.sum(1, keepdim=True) + torch.arange(ids.shape[1], device=ids.device)
        mask = torch.cat((mask, torch.ones_like(ids)), 1)
        output = unwrapped(body)(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=forked(reading.cache, times),
            use_cache=True,
        )
        return output.logits, Reading(output.past_key_values, mask)

    def answer_logits(self, body: nn.Module, ids: Tensor, mask: Tensor, answers: Sequence[Tensor]) -> Tensor:
        """See `Language.answer_logits`: no gap between prompt and answer, whose last token is not read."""
        lengths = mask.sum(1).tolist()
        parts = list(zip(ids, lengths, answers, strict=True))
        joined, real = right([torch.cat((row[:length], answer[:-1])) for row, length, answer in parts])
        rows = [torch.full_like(answer, number) for number, answer in enumerate(answers)]
        columns = [length - 1 + torch.arange(len(answer), device=ids.device) for _, length, answer in parts]
        return self._read(body, joined, real, Places(torch.cat(rows), torch.cat(columns)), keep=False)[0]

    def _read(
        self, body: nn.Module, ids: Tensor, mask: Tensor, places: Places, keep: bool
    ) -> tuple[Tensor, Reading]:
        """Return the logits at some places [places, vocabulary]."""
        if not (torch.is_grad_enabled() or self.whole_rows):
            opening = self._opening(ids, mask) if keep else []
            if self.prefix or opening:
                before = self._before(body, opening, ids.device)
                if _forks(before.cache):
                    done = len(opening)
                    left = places._replace(columns=places.columns - done)
                    return self._read_on(body, before, ids[:, done:], mask[:, done:], left)
                self.whole_rows = True
        whole, real = self._after_prefix(ids, mask)
        with picked(body, places, ids.shape[1]):
            output = body(input_ids=whole, attention_mask=real, use_cache=keep)
        cache = output.past_key_values
        return output.logits, Reading(cache, _mask_of(cache, real) if keep else real)

    def _opening(self, ids: Tensor, mask: Tensor) -> list[int]:
        """Return ids that all prompts begin with: those that were read already, or as many as pay."""
        known = self._begun[0] if self._begun else []
        shared = common_opening(ids, mask)
        if known and shared[: len(known)] == known:
            return known
        again = len(self.prefix) if self._begun else 0  # it is read with the opening
        return shared if len(shared) * (len(ids) - 1) >= SAVED + again else []

    def _before(self, body: nn.Module, opening: list[int], device: torch.device) -> Reading:
        """Return the prefix and an opening as they have been read, now or before."""
        if self._begun and self._begun[0] == opening:
            return self._begun[1]
        found = self._read_opening(body, [*self.prefix, *opening], device)
        if not body.training:  # weights may change at any time in training
            self._begun = opening, found
        return found

    def _read_on(
        self, body: nn.Module, before: Reading, ids: Tensor, mask: Tensor, places: Places
    ) -> tuple[Tensor, Reading]:
        """Return the logits at some places of rows, of which the first tokens have been read before."""
        whole = torch.cat((before.mask.expand(len(ids), -1), mask), 1)
        with picked(body, places, ids.shape[1]):
            output = unwrapped(body)(
                input_ids=ids,
                attention_mask=whole,
                past_key_values=forked(before.cache, len(ids)),
                use_cache=True,
            )
        return output.logits, Reading(output.past_key_values, whole)

    def _read_opening(self, body: nn.Module, tokens: list[int], device: torch.device) -> Reading:
        ids = torch.tensor([tokens], device=device)
        nowhere = torch.empty(0, dtype=torch.long, device=device)
        with picked(body, Places(nowhere, nowhere), ids.shape[1]):
            output = body(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=True)
        return Reading(output.past_key_values, _mask_of(output.past_key_values, torch.ones_like(ids)))


def common_opening(ids: Tensor, mask: Tensor) -> list[int]:
    """Return the ids that all rows [rows, tokens] begin with; each keeps a token of its own after them."""
    most = int(mask.sum(1).min()) - 1
    same = (ids[:, :most] == ids[:1, :most]).all(0)
    length = int(same.int().cumprod(0).sum())
    return ids[0, :length].tolist()


class Seq2Seq(Language):
    """An encoder reads prefix and prompt, a decoder writes; it starts with a token of the model's own."""

    def forget(self) -> None:
        """Remember nothing: an encoder reads both ways, so a prefix is not the same before every prompt."""

    def begin(self, body: nn.Module, ids: Tensor, mask: Tensor) -> tuple[Tensor, Reading]:
        """See `Language.begin`."""
        whole, real = self._after_prefix(ids, mask)
        start = self._start(body, ids)
        output = body(input_ids=whole, attention_mask=real, decoder_input_ids=start, use_cache=True)
        encoded = output.encoder_last_hidden_state
        virtual = encoded.shape[1] - real.shape[1]
        real = torch.cat((real.new_ones(len(ids), virtual), real), 1)
        return output.logits[:, -1], Reading(output.past_key_values, real, encoded)

    def go_on(self, body: nn.Module, reading: Reading, ids: Tensor) -> tuple[Tensor, Reading]:
        """See `Language.go_on`."""
        assert reading.encoded is not None
        times = len(ids) // len(reading.mask)
        mask = reading.mask.repeat_interleave(times, 0)
        encoded = reading.encoded.repeat_interleave(times, 0)
        output = unwrapped(body)(
            encoder_outputs=(encoded,),
            attention_mask=mask,
            decoder_input_ids=ids,
            past_key_values=forked(reading.cache, times),
            use_cache=True,
        )
        return output.logits, Reading(output.past_key_values, mask, encoded)

    def answer_logits(self, body: nn.Module, ids: Tensor, mask: Tensor, answers: Sequence[Tensor]) -> Tensor:
        """See `Language.answer_logits`."""
        whole, real = self._after_prefix(ids, mask)
        read = [
            torch.cat((start, answer[:-1]))
            for start, answer in zip(self._start(body, ids), answers, strict=True)
        ]
        written, written_mask = right(read)
        with picked(body, Places(*written_mask.nonzero(as_tuple=True)), written.shape[1]):
            output = body(input_ids=whole, attention_mask=real, decoder_input_ids=written, use_cache=False)
        logits: Tensor = output.logits
        return logits

    def _start(self, body: nn.Module, ids: Tensor) -> Tensor:
        return ids.new_full((len(ids), 1), unwrapped(body).config.decoder_start_token_id)  # type: ignore[union-attr, arg-type]


LANGUAGES: dict[str, type[Language]] = {"decoder": Causal, "encoder_decoder": Seq2Seq}


def unwrapped(body: nn.Module) -> nn.Module:
    """Return the transformers model; adapters inside its layers stay, virtual tokens do not come again."""
    model: nn.Module = body.get_base_model() if hasattr(body, "get_base_model") else body  # type: ignore[operator]
    return model


def right(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return ids and mask [rows, tokens] of rows padded on the right."""
    masks = [torch.ones_like(row) for row in rows]
    return pad_sequence(list(rows), batch_first=True), pad_sequence(masks, batch_first=True)


@contextmanager
def picked(body: nn.Module, places: Places, width: int) -> Iterator[None]:
    """Show the language-model head these places alone, so that logits are [places, vocabulary].

    Columns count in the last `width` tokens: what a prefix or a method puts before them is left out.
    """

    def pick(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        hidden, *others = inputs
        return (hidden[places.rows, places.columns + hidden.shape[1] - width], *others)

    head: nn.Module = unwrapped(body).get_output_embeddings()  # type: ignore[operator]
    handle = head.register_forward_pre_hook(pick)
    try:
        yield
    finally:
        handle.remove()


def forked(cache: Any, times: int) -> Any:
    """Return a cache of its own for each of `times` continuations of every example, side by side.

    Layers put new tensors in the place of old ones when they grow, so the original stays as it is.
    """
    if hasattr(cache, "self_attention_cache"):
        fork = copy.copy(cache)
        fork.self_attention_cache = forked(cache.self_attention_cache, times)
        fork.cross_attention_cache = forked(cache.cross_attention_cache, times)
        fork.is_updated = dict(cache.is_updated)
        return fork
    fork = copy.copy(cache)
    fork.layers = [copy.copy(layer) for layer in cache.layers]
    if times > 1:
        fork.batch_repeat_interleave(times)
    return fork


def _forks(cache: Any) -> bool:
    """Whether all layers can be copied for several continuations: a state of linear attention cannot."""
    return all(hasattr(layer, "batch_repeat_interleave") for layer in cache.layers)


def _mask_of(cache: Any, mask: Tensor) -> Tensor:
    """Return the mask of all that a cache holds: a method's virtual tokens stand before the text."""
    virtual = cache.get_seq_length() - mask.shape[1]
    return torch.cat((mask.new_ones(len(mask), virtual), mask), 1)
