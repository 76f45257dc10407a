"""How a class is read off a model's hidden states; what asks the language-model head has files of its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tunesweep.data.batches import Batch

_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
FEATURES = "features"  # of a batch whose way through the backbone was computed before, see `features.py`


class Readout(nn.Module):
    """A backbone (`body`, which a method may wrap) and, for some readouts, a head of ours."""

    def __init__(self, body: nn.Module, head: nn.Module | None = None) -> None:
        super().__init__()
        self.body = body
        self.head = head

    def reader(self) -> nn.Module:
        """Return the module that makes logits of features."""
        assert self.head is not None
        return self.head

    def read_rows_whole(self) -> None:
        """Read each row from its first token, whatever begins alike: for a body that treats rows apart."""


class Standard(Readout):
    """The architecture's own sequence-classification model: its head is part of the body."""

    def __init__(self, body: nn.Module, head_name: str = "") -> None:
        super().__init__(body)
        self._head_name = head_name

    def reader(self) -> nn.Module:
        """Return the head, while no method has wrapped the body."""
        return self.body.get_submodule(self._head_name)

    def forward(self, batch: Batch) -> Tensor:
        """Return logits [batch, classes]."""
        if FEATURES in batch:
            known: Tensor = self.reader()(batch[FEATURES])
            return known.float()
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
        logits: Tensor = self.reader()(self._features(batch))
        return logits.float()

    def _features(self, batch: Batch) -> Tensor:
        if FEATURES in batch:
            return batch[FEATURES]
        hidden = self.body(**_inputs(batch)).last_hidden_state
        pooled: Tensor = self.pool(hidden.float(), batch["attention_mask"])
        return pooled


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
