"""The batches of a point: as far as the configuration says, or as the data turned out to be."""

from __future__ import annotations

from typing import Any

from tunesweep.config import RunConfig
from tunesweep.estimate.activations import Batch
from tunesweep.estimate.memory import Sizes
from tunesweep.estimate.parameters import virtual_tokens

WORD = 4  # tokens of a class that is written out, at most as a rule
CLASSES = 2  # where the data have not been read: a head is small whatever their number


def planned(config: RunConfig, longest: int | None = None) -> Sizes:
    """Return the batches before the data are read; `longest`: the tokens of an example, where they are known.

    Otherwise the longest example is taken to be as long as the encoding lets it be: an upper bound.
    """
    tokens = longest or int(config.encoding.get("max_length") or 0) + _answer(config)
    tokens += virtual_tokens(config)
    select = config.dataset.limit.select or config.runtime.eval_batch_size
    classes = len(config.dataset.labels or {*config.dataset.label_names.values()} - {""}) or CLASSES
    return Sizes(
        train=Batch(_rows(config, config.dataset.limit.train), tokens, _written(config)),
        select=Batch(min(select, config.runtime.eval_batch_size), tokens, _written(config)),
        classes=classes,
    )


def measured(config: RunConfig, data: Any) -> Sizes:
    """Return the batches of data that were read: a `DataModule`."""
    before = len(data.prefix) + virtual_tokens(config)
    lengths = {split: [int(n) for n in data.lengths(split)] for split in ("train", "select")}
    rows = min(config.runtime.eval_batch_size, len(lengths["select"]))
    return Sizes(
        train=Batch(
            _rows(config, len(lengths["train"])), before + max(lengths["train"]), _longest(config, data)
        ),
        select=Batch(rows, before + max(lengths["select"]), _longest(config, data)),
        classes=len(data.names) or CLASSES,
    )


def _rows(config: RunConfig, examples: int | None) -> int:
    train = config.train.batch_size
    return min(config.runtime.micro_batch or train, train, examples or train)


def _answer(config: RunConfig) -> int:
    return _written(config) if config.readout.name == "generate" else 0


def _written(config: RunConfig) -> int:
    """Return the tokens at which the language-model head is asked, of each example."""
    if config.dataset.task == "language_modeling":
        return 0  # at all of them
    if config.dataset.task == "instruction":
        return int(config.encoding.get("max_answer") or 0)
    return {"generate": WORD, "label_words": 1}.get(config.readout.name, 0)


def _longest(config: RunConfig, data: Any) -> int:
    rows = data.rows["train"]
    if isinstance(rows, list) or "answer_ids" not in rows.column_names:
        return _written(config)
    return max(len(ids) for ids in rows["answer_ids"])
