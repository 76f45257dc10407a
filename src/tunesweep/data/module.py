"""The three splits as batches: what is learned from, what is chosen on, what is reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, TypeAlias

import datasets
import numpy as np
import pytorch_lightning as pl
from torch import Tensor
from torch.utils.data import DataLoader

from tunesweep.build import build
from tunesweep.config import SPLITS, RunConfig
from tunesweep.data import information, tokens
from tunesweep.data.batches import FeatureCollator, GlobalBatches, ImageCollator, TextCollator, by_length
from tunesweep.data.examples import Examples, Splits
from tunesweep.data.quality import quality
from tunesweep.data.readers import load, swapped
from tunesweep.data.texts import Texts, scored_terms
from tunesweep.errors import IntegrityError
from tunesweep.hardware import on_gpu
from tunesweep.identity import digest

Rows: TypeAlias = "datasets.Dataset | list[dict[str, Any]]"  # token ids, or pictures
Answers: TypeAlias = "np.ndarray | list[str]"  # class numbers [n], or texts
# Tokens that a CPU of two cores reads in the time that a batch costs by itself: about 120 for MiniLM in 32
# bits, 1000 in bf16 (AMX). On a GPU it was not measured: batches are full there.
PASS_COST = 500


class SealedAnswers:
    """What is right in the test split: read once, at the end (R17)."""

    def __init__(self, answers: Answers) -> None:
        self._answers, self.opened = answers, False

    def __len__(self) -> int:
        return len(self._answers)

    def open(self) -> Answers:
        """Return class numbers [n] or texts; a second look is a mistake of ours."""
        if self.opened:
            raise IntegrityError(
                "the labels of the test split were read twice: they are for the final score only"
            )
        self.opened = True
        return self._answers


class DataModule(pl.LightningDataModule):
    """Loads, encodes and batches a data set for one point."""

    def __init__(self, config: RunConfig, tokenizer: Any, tokenizer_fingerprint: str) -> None:
        super().__init__()
        self.config, self.tokenizer = config, tokenizer
        self.splits = _load(config)
        self.names = self.splits.labels
        self._tokenizer_fingerprint = tokenizer_fingerprint
        self.encoding = self._encoding() if tokenizer is not None else None
        self.texts = self._texts() if tokenizer is not None else None
        self.rows = {name: self._rows(getattr(self.splits, name), name != "test") for name in SPLITS}
        self.labels = {name: self._numbers(getattr(self.splits, name)) for name in ("train", "select")}
        self.test_answers = SealedAnswers(self._answers(self.splits.test))
        self.batches = self._train_batches()
        self._features: dict[str, Tensor] = {}

    def _numbers(self, examples: Examples) -> np.ndarray | None:
        if not self.names:
            return None
        number = {name: index for index, name in enumerate(self.names)}
        return np.array([number[label] for label in examples.labels], dtype=np.int64)

    def _answers(self, examples: Examples) -> Answers:
        numbers = self._numbers(examples)
        return list(examples.labels) if numbers is None else numbers

    def _texts(self) -> Texts:
        return Texts(self.config, self.splits, self.encoding, self.tokenizer, self._tokenizer_fingerprint)

    def _rows(self, examples: Examples, learnt: bool) -> Rows:
        return _pictures(examples) if self.texts is None else self.texts.rows(examples, learnt)

    def _encoding(self) -> Any:
        """Return the encoding; an open value range is the data set's."""
        encoding = build(self.config.encoding)
        if self.splits.value_range and getattr(encoding, "high", 0) is None:
            return replace(encoding, high=self.splits.value_range[1])
        return encoding

    @property
    def prefix(self) -> list[int]:
        """Return the ids of solved examples that stand before every example; not part of the rows."""
        return [] if self.texts is None else self.texts.prefix

    def lengths(self, split: str) -> list[int]:
        """Return tokens per example, answer included; pictures count as one."""
        rows = self.rows[split]
        if isinstance(rows, list):
            return [1] * len(rows)
        answers = scored_terms(rows) if "answer_ids" in rows.column_names else 0
        return list(np.asarray(rows["length"][:]) + answers)

    def _train_batches(self) -> GlobalBatches:
        train, runtime = self.config.train, self.config.runtime
        micro = min(runtime.micro_batch or train.batch_size, train.batch_size)
        return GlobalBatches(
            self.lengths("train"),
            train.batch_size,
            micro,
            self.config.seeds.data,
            train.bucketing,
            terms=scored_terms(self.rows["train"]),
        )

    def divide_again(self) -> None:
        """Cut the train split anew, after a change of `runtime.micro_batch`."""
        self.batches = self._train_batches()

    def _collator(self, labels: np.ndarray | None) -> TextCollator | ImageCollator:
        if self.tokenizer is None:
            assert self.splits.value_range is not None
            return ImageCollator(self.splits.value_range, labels)
        return TextCollator(self.tokenizer.pad_token_id, labels)

    def _loader(self, rows: Any, batches: Any, labels: np.ndarray | None) -> DataLoader[Any]:
        return DataLoader(rows, batch_sampler=batches, collate_fn=self._collator(labels))

    def learn_from(self, features: dict[str, Tensor]) -> None:
        """Let batches of these splits hold features [examples, width] instead of tokens."""
        self._features = features

    def _learnt(self, split: str, batches: Any) -> DataLoader[Any]:
        """Return batches of a split with labels: of tokens, or of what is known of them."""
        labels = self.labels[split]
        if split not in self._features:
            return self._loader(self.rows[split], batches, labels)
        known: Any = list(enumerate(self._features[split]))
        return DataLoader(known, batch_sampler=batches, collate_fn=FeatureCollator(labels))

    def token_dataloader(self, split: str, size: int) -> DataLoader[Any]:
        """Return a split as tokens without labels, so many examples at a time."""
        return self._loader(self.rows[split], self._scored(self.lengths(split), size), None)

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the batches of the next epoch."""
        return self._learnt("train", self.batches)

    def train_batch(self, places: list[int]) -> dict[str, Any]:
        """Return one batch of these examples of the train split, as tokens."""
        loader = self._loader(self.rows["train"], [places], self.labels["train"])
        found: dict[str, Any] = next(iter(loader))
        return found

    def val_dataloader(self) -> DataLoader[Any]:
        """Return the select split: what choices are made on."""
        return self.select_dataloader(self.config.runtime.eval_batch_size)

    def select_dataloader(self, size: int) -> DataLoader[Any]:
        """Return the select split, so many examples at a time."""
        return self._learnt("select", self._scored(self.lengths("select"), size))

    def test_dataloader(self) -> DataLoader[Any]:
        """Return the test split without its labels."""
        return self.token_dataloader("test", self.config.runtime.eval_batch_size)

    def swapped_test_dataloader(self) -> DataLoader[Any]:
        """Return the test split with the two responses of every pair exchanged, without labels."""
        rows = self._rows(swapped(self.splits.test, self.config.dataset), learnt=False)
        batches = self._scored(list(rows["length"][:]), self.config.runtime.eval_batch_size)  # type: ignore[call-overload]
        return self._loader(rows, batches, None)

    def sample_dataloader(self, count: int, size: int, *, padded: bool = False) -> DataLoader[Any]:
        """Return the first examples without labels, at most so many at a time; `padded`: just so many."""
        split = self.sampled
        lengths = self.lengths(split)[:count]
        batches = by_length(lengths, size) if padded else self._scored(lengths, size)
        return self._loader(self.rows[split], batches, None)

    def _scored(self, lengths: Sequence[int], size: int) -> list[list[int]]:
        """Return batches to be read once; where answers are written, the tokens read are the lesser part."""
        writes = self.config.readout.name == "generate"
        return by_length(lengths, size, None if writes or on_gpu(self.config.runtime.device) else PASS_COST)

    @property
    def sampled(self) -> str:
        """Return the sample's split: select where only that has the answers whose likelihood is asked."""
        return "select" if self.config.readout.name == "generate" and self.names else "test"

    def description(self) -> dict[str, Any]:
        """Return the record's `data`: what was read, and what is wrong with it."""
        truncated = {name: _truncated(rows) for name, rows in self.rows.items()}
        found = quality(self.splits, truncated) | {
            "labels": self.names,
            "scored_ids": digest(self.splits.test.ids),
        }
        return found | ({"shots": self.texts.shot_ids} if self.texts and self.texts.shot_ids else {})

    def encoding_description(self) -> dict[str, Any]:
        """Return the record's `encoding`, measured through the tokenizer on the test split."""
        if self.tokenizer is None:
            return {"name": "none"}
        found = tokens.description(self.rows["test"], self.splits.test, self.encoding, self.tokenizer)
        if self.encoding is not None and self.encoding.modality == "image" and self.names:
            found |= information.kept(self.rows, self.splits, self.encoding, self.tokenizer)
        return found | {"tokenizer_fingerprint": self._tokenizer_fingerprint}


def _pictures(examples: Examples) -> list[dict[str, Any]]:
    images = np.asarray(examples.inputs, dtype=np.float32)
    return [{"image": image, "index": index} for index, image in enumerate(images)]


def _truncated(rows: Rows) -> float:
    return 0.0 if isinstance(rows, list) else float(np.mean(rows["truncated"]))


_LAST: dict[str, Splits] = {}


def _load(config: RunConfig) -> Splits:
    """Read and cut the data, or take what the point before has read, when it is the same by content."""
    known = config.runtime.point.data_fingerprint
    key = digest([asdict(config.dataset), config.seeds.split, known])
    if not known or key not in _LAST:
        _LAST.clear()
        _LAST[key] = load(config.dataset, config.seeds.split)
    return _LAST[key]
