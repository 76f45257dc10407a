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
        logits: Tensor = self.head(self.pool(hidden, batch["attention_mask"]).float())
        return logits.float()


class LabelWords(Readout):
    """The log-likelihood of each class's word after the prompt, from the language-model head."""

    def __init__(self, body: nn.Module, words: Sequence[Sequence[int]]) -> None:
        super().__init__(body)
        self.words = [torch.tensor(ids) for ids in words]

    def forward(self, batch: Batch) -> Tensor:
        """Return, for every class, the summed log-probability of its word's tokens [batch, classes]."""
        ids, mask = batch["input_ids"], batch["attention_mask"]
        prompts = [row[: int(length)] for row, length in zip(ids, mask.sum(1), strict=True)]
        pairs = [(prompt, word.to(ids.device)) for prompt in prompts for word in self.words]
        rows = pad_sequence([torch.cat(pair) for pair in pairs], batch_first=True)
        lengths = torch.tensor([len(p) + len(w) for p, w in pairs], device=ids.device)
        attended = torch.arange(rows.shape[1], device=ids.device) < lengths[:, None]
        logits = self.body(input_ids=rows, attention_mask=attended.long()).logits
        scores = [_likelihood(row, *pair) for row, pair in zip(logits, pairs, strict=True)]
        return torch.stack(scores).view(len(prompts), len(self.words))


def _likelihood(logits: Tensor, prompt: Tensor, word: Tensor) -> Tensor:
    """Return the log-probability of a word; position t of the logits predicts token t + 1."""
    start = len(prompt) - 1
    steps = torch.log_softmax(logits[start : start + len(word)].float(), dim=-1)
    return steps.gather(1, word[:, None]).sum()


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
