"""How a class is read off a model: every readout maps a batch to logits [batch, classes]."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from tunesweep.data.batches import Batch

_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class Readout(nn.Module):
    """A backbone (`body`, which a method may wrap) and, for some readouts, a head of ours."""

    def __init__(self, body: nn.Module, head: nn.Module | None = None) -> None:
        super().__init__()
        self.body = body
        self.head = head


class Standard(Readout):
    """The architecture's own sequence-classification model: its head is part of the body."""

    def forward(self, batch: Batch) -> Tensor:
        """Return logits [batch, classes]."""
        logits: Tensor = self.body(**_inputs(batch)).logits
        return logits.float()


class Pixels(Readout):
    """A reference model, which reads pictures instead of tokens."""

    def forward(self, batch: Batch) -> Tensor:
        """Return logits [batch, classes]."""
        logits: Tensor = self.body(batch["pixels"])
        return logits.float()


class Linear(Readout):
    """One linear layer on a pooled hidden state."""

    def __init__(self, body: nn.Module, width: int, classes: int, pooling: str) -> None:
        super().__init__(body, nn.Linear(width, classes))
        self.pool = POOLINGS[pooling]

    def forward(self, batch: Batch) -> Tensor:
        """Return logits [batch, classes]."""
        hidden = self.body(**_inputs(batch)).last_hidden_state
        assert self.head is not None
        logits: Tensor = self.head(self.pool(hidden.float(), batch["attention_mask"]))
        return logits.float()


class LabelWords(Readout):
    """The log-likelihood of each class's word after the prompt, from the language-model head."""

    def __init__(self, body: nn.Module, words: Sequence[Sequence[int]]) -> None:
        super().__init__(body)
        self.words = [torch.tensor(ids) for ids in words]
        self.longest = max(len(ids) for ids in words)

    def forward(self, batch: Batch) -> Tensor:
        """Return, for every class, the summed log-probability of its word's tokens [batch, classes].

        Padding stands on the left, so that all words end together, and vocabulary logits are computed
        for their positions alone; position t predicts token t + 1.
        """
        ids, mask = self._rows(batch)
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        logits = self.body(
            input_ids=ids, attention_mask=mask, position_ids=positions, logits_to_keep=self.longest + 1
        ).logits[:, :-1]
        tokens = ids[:, -self.longest :, None]
        steps = torch.log_softmax(logits.float(), dim=-1).gather(2, tokens).squeeze(2)
        scores: Tensor = (steps.view(-1, *self._spans(ids.device).shape) * self._spans(ids.device)).sum(2)
        return scores

    def _rows(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return every prompt before every word: ids and mask [batch x classes, tokens]."""
        device, lengths = batch["input_ids"].device, batch["attention_mask"].sum(1).tolist()
        prompts = [row[:length] for row, length in zip(batch["input_ids"], lengths, strict=True)]
        rows = [torch.cat((prompt, word.to(device))) for prompt in prompts for word in self.words]
        return _left(rows), _left([torch.ones_like(row) for row in rows])

    def _spans(self, device: torch.device) -> Tensor:
        """Return which of the last positions are the word's [classes, longest]."""
        return _left([torch.ones(len(word), device=device) for word in self.words])


def _left(rows: list[Tensor]) -> Tensor:
    return pad_sequence(rows, batch_first=True, padding_side="left")


def cls(hidden: Tensor, _: Tensor) -> Tensor:
    """Return the first token's state [batch, width]."""
    return hidden[:, 0]


def last(hidden: Tensor, mask: Tensor) -> Tensor:
    """Return the last real token's state [batch, width]; padding stands on the right."""
    return hidden[torch.arange(len(hidden), device=hidden.device), mask.sum(1) - 1]


def mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """Return the mean state of the real tokens [batch, width]."""
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1)


POOLINGS = {"cls": cls, "last": last, "mean": mean}


def _inputs(batch: Batch) -> Batch:
    return {key: batch[key] for key in _INPUTS if key in batch}
