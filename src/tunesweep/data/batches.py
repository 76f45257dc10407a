"""Which examples meet in a batch, and how a batch is padded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunesweep.data.cuts import cheapest_cut

Batch = dict[str, Tensor]
WINDOW = 16  # global batches sorted by length together: wide enough to pad little, narrow enough to mix


class GlobalBatches:
    """Index lists of one epoch: global batches of similar lengths, cut into micro-batches.

    The incomplete batch stands last, so that accumulation never runs over its edge. Every pass draws
    a new order from (seed, number of the pass).
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch: int,
        micro: int,
        seed: int,
        bucketing: bool,
        *,
        terms: np.ndarray | None = None,
    ) -> None:
        """`terms`: of how many losses each example is the sum; one where nothing else is said."""
        self.lengths = np.asarray(lengths)
        self.terms = np.ones(len(self.lengths), dtype=np.int64) if terms is None else terms
        self.batch, self.micro, self.seed, self.bucketing = batch, micro, seed, bucketing
        self.epoch = self._done = 0
        self._totals: list[int] = []

    def __len__(self) -> int:
        full, rest = divmod(len(self.lengths), self.batch)
        return full * -(-self.batch // self.micro) + -(-rest // self.micro)

    def begin_at(self, epoch: int, done: int) -> None:
        """Let the next pass be that of an epoch, without its first micro-batches."""
        self.epoch, self._done = epoch, done

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        self.epoch += 1
        groups = self._global(rng)
        self._totals = [int(self.terms[group].sum()) for group in groups]
        batches = (
            [int(i) for i in g[s : s + self.micro]] for g in groups for s in range(0, len(g), self.micro)
        )
        done, self._done = self._done, 0
        yield from islice(batches, done, None)

    def _global(self, rng: np.random.Generator) -> list[np.ndarray]:
        order = rng.permutation(len(self.lengths))
        if self.bucketing:
            order = self._by_length(order)
        groups = [order[start : start + self.batch] for start in range(0, len(order), self.batch)]
        whole = [group for group in groups if len(group) == self.batch]
        partial = [group for group in groups if len(group) < self.batch]
        return [whole[index] for index in rng.permutation(len(whole))] + partial

    def _by_length(self, order: np.ndarray) -> np.ndarray:
        window = self.batch * WINDOW
        parts = [order[start : start + window] for start in range(0, len(order), window)]
        return np.concatenate([part[np.argsort(self.lengths[part], kind="stable")] for part in parts])

    @property
    def accumulation(self) -> int:
        """Micro-batches in a whole global batch."""
        return -(-self.batch // self.micro)

    @property
    def widest(self) -> int:
        """Padded tokens of the largest micro-batch that any order could bring."""
        return self.micro * int(self.lengths.max(initial=0))

    def share(self, position: int) -> float:
        """Return the factor of a micro-batch's summed losses that makes gradients the global mean's.

        The mean is over all losses of the global batch, whichever micro-batch they fall into. Lightning
        divides each loss by `accumulation`, also in the last global batch, which may be smaller.
        """
        return self.accumulation / self._totals[position // self.accumulation]


def by_length(lengths: Sequence[int], size: int, pass_cost: int | None = None) -> list[list[int]]:
    """Return index lists for scoring, longest first.

    Each holds `size` examples, the last one fewer, so that memory shows its peak at once; or at most so many,
    where it is known how many tokens take as long as what a batch costs by itself (`pass_cost`), and padding
    would cost more.
    """
    order = np.argsort(-np.asarray(lengths), kind="stable")
    if pass_cost is None:
        parts = [slice(start, start + size) for start in range(0, len(order), size)]
    else:
        parts = cheapest_cut(np.asarray(lengths)[order], np.ones(len(order), dtype=int), pass_cost, size)
    return [[int(i) for i in order[part]] for part in parts]


class TextCollator:
    """Pads token ids on the right to the longest of the batch; adds labels unless they are sealed."""

    def __init__(self, pad: int, labels: np.ndarray | None) -> None:
        self.pad, self.labels = pad, labels

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> Batch:
        """Return input_ids, attention_mask [batch, tokens], index [batch] and what else the model reads.

        Where an answer is written: answer_ids and answer_mask [batch, tokens of it]; of a running text:
        scored [batch], the number of last tokens that count.
        """
        batch = {
            "input_ids": _padded(rows, "input_ids", self.pad),
            "attention_mask": _mask(rows, "input_ids"),
        }
        if "token_type_ids" in rows[0]:
            batch["token_type_ids"] = _padded(rows, "token_type_ids", 0)
        if "answer_ids" in rows[0]:
            batch["answer_ids"] = _padded(rows, "answer_ids", self.pad)
            batch["answer_mask"] = _mask(rows, "answer_ids")
        if "scored" in rows[0]:
            batch["scored"] = torch.tensor([row["scored"] for row in rows])
        return _with_labels(batch, [row["index"] for row in rows], self.labels)


class FeatureCollator:
    """Stacks what a frozen backbone has made of each example."""

    def __init__(self, labels: np.ndarray | None) -> None:
        self.labels = labels

    def __call__(self, rows: Sequence[tuple[int, Tensor]]) -> Batch:
        """Return features [batch, width], index and labels [batch]."""
        batch = {"features": torch.stack([features for _, features in rows])}
        return _with_labels(batch, [index for index, _ in rows], self.labels)


class ImageCollator:
    """Stacks pictures, scaled to 0..1, as the reference models read them."""

    def __init__(self, value_range: tuple[float, float], labels: np.ndarray | None) -> None:
        self.low, self.high = value_range
        self.labels = labels

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> Batch:
        """Return pixels [batch, 1, height, width] and index [batch]."""
        images = np.stack([np.asarray(row["image"], dtype=np.float32) for row in rows])
        scaled = (images - self.low) / (self.high - self.low)
        batch = {"pixels": torch.from_numpy(scaled).unsqueeze(1)}
        return _with_labels(batch, [row["index"] for row in rows], self.labels)


def _padded(rows: Sequence[Mapping[str, Any]], key: str, value: int) -> Tensor:
    tensors = [torch.tensor(row[key], dtype=torch.long) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=value)


def _mask(rows: Sequence[Mapping[str, Any]], key: str) -> Tensor:
    return _padded([{"mask": [1] * len(row[key])} for row in rows], "mask", 0)


def _with_labels(batch: Batch, index: list[int], labels: np.ndarray | None) -> Batch:
    batch["index"] = torch.tensor(index)
    if labels is not None:
        batch["labels"] = torch.from_numpy(labels[index])
    return batch
