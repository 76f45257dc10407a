"""Whose rows of a batch are whose, told to the layers that treat runs apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import pad

from tunesweep.data.batches import Batch

PADDED = {"attention_mask": 0, "token_type_ids": 0, "answer_mask": 0}  # the others with the pad token


class Generator:
    """The random states of one run's device generators, apart from those of the others."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device if device.type == "cuda" else None
        self.states = self._now()

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Let whatever draws within go on from here."""
        before = self._now()
        self._set(self.states)
        try:
            yield
        finally:
            self.states = self._now()
            self._set(before)

    def _now(self) -> tuple[Tensor, ...]:
        cuda = () if self._cuda is None else (torch.cuda.get_rng_state(self._cuda),)
        return (torch.get_rng_state(), *cuda)

    def _set(self, states: tuple[Tensor, ...]) -> None:
        torch.set_rng_state(states[0])
        if self._cuda is not None:
            torch.cuda.set_rng_state(states[1], self._cuda)


@dataclass
class Layout:
    """The rows of the batch under way: run after run, `sizes` of each; one that has left has none."""

    generators: Sequence[Generator]
    sizes: list[int] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)  # tokens of each run's own batch, before it was padded
    width: int = 0  # of the whole batch

    def merge(self, batches: Sequence[Batch | None], pad_id: int) -> Batch:
        """Join the batches of the runs, in their order, and remember whose rows are whose."""
        there = [batch for batch in batches if batch is not None]
        self.sizes = [0 if batch is None else len(batch["index"]) for batch in batches]
        self.widths = [0 if batch is None else width(batch) for batch in batches]
        self.width = max(self.widths)
        return {key: _joined([batch[key] for batch in there], PADDED.get(key, pad_id)) for key in there[0]}

    def split(self, whole: Tensor) -> list[Tensor]:
        """Return each run's rows; of every row there may be several, side by side."""
        times = self.times(whole)
        return list(torch.split(whole, [size * times for size in self.sizes]))

    def times(self, whole: Tensor) -> int:
        """Return how many rows there are of each in the batch; ValueError where they are of no batch."""
        times, odd = divmod(len(whole), sum(self.sizes))
        if odd or not times:
            raise ValueError(f"{len(whole)} rows are not those of runs with {self.sizes}: whose are they?")
        return times

    def drawing(self, run: int) -> AbstractContextManager[None]:
        """Draw as this run would alone."""
        return self.generators[run].drawing()

    def on_own_tokens(self, run: int, layer: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
        """Leave out tokens that are there for the others' sake: alone, nothing would be drawn for them."""
        own = self.widths[run]
        found = layer(*(tensor[:, :own] if self._of_tokens(tensor) else tensor for tensor in tensors))
        return pad(found, (0, 0, 0, self.width - own)) if self._of_tokens(tensors[0]) else found

    def _of_tokens(self, tensor: Tensor) -> bool:
        """Whether a tensor is [rows, tokens, features]."""
        return tensor.ndim == 3 and tensor.shape[1] == self.width


def width(batch: Batch) -> int:
    """Return the tokens of a row; 0 where rows are no texts."""
    return batch["input_ids"].shape[1] if "input_ids" in batch else 0


def _joined(parts: Sequence[Tensor], value: int) -> Tensor:
    if parts[0].ndim != 2:  # numbers, one for each example, or pictures of one size
        return torch.cat(list(parts))
    width = max(part.shape[1] for part in parts)
    return torch.cat([pad(p, (0, width - p.shape[1]), value=value) for p in parts])
