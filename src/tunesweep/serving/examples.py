"""New examples in the place of a point's data: read without labels, batched and encoded as in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from tunesweep.config import DatasetConfig, RunConfig
from tunesweep.data import images, readers, rows
from tunesweep.data.examples import Examples, Inputs, Splits
from tunesweep.data.location import FORMATS, format_of, locations
from tunesweep.data.module import DataModule
from tunesweep.data.tables import Columns, read_table
from tunesweep.errors import BadData, suggest
from tunesweep.models.tokenizer import load_tokenizer, tokenizer_fingerprint

NOTHING = "\x00"  # a column that no file has


class NewExamples(DataModule):
    """The test split alone, of rows whose labels nobody knows: enough to build a network and to ask it."""

    def __init__(self, config: RunConfig, inputs: Inputs, labels: Sequence[str]) -> None:
        """Training data are read only where solved examples stand in the prompt."""
        pl.LightningDataModule.__init__(self)
        tokenizer = None
        if config.model.family != "vision":
            tokenizer = load_tokenizer(config.model, Path(config.runtime.cache))
        self.config, self.tokenizer = config, tokenizer
        self.splits, self.names = _splits(config, inputs, labels), list(labels)
        self._tokenizer_fingerprint = "" if tokenizer is None else tokenizer_fingerprint(tokenizer)
        self.encoding = self._encoding() if tokenizer is not None else None
        self.texts = self._texts() if tokenizer is not None else None
        self.labels = dict.fromkeys(("train", "select"))
        self.rows = {}

    def read(self) -> NewExamples:
        """Encode the examples; a network can be built without them."""
        self.rows = {"test": self._rows(self.splits.test, learnt=False)}
        return self


def _splits(config: RunConfig, inputs: Inputs, labels: Sequence[str]) -> Splits:
    nothing = Examples(ids=[], inputs=[], labels=[])
    new = Examples(ids=[f"row-{i}" for i in range(len(inputs))], inputs=inputs, labels=[""] * len(inputs))
    train = nothing
    if config.method.shots.k:
        train = readers.load(config.dataset, config.seeds.split).train
    shade = None
    if config.dataset.modality == "image":
        shade = images.value_range(locations(config.dataset)["train"])
    return Splits(train=train, select=nothing, test=new, labels=list(labels), value_range=shade)


def without_rows(config: RunConfig, labels: Sequence[str]) -> NewExamples:
    """Return what a network is built with where nothing is to be predicted yet."""
    return NewExamples(config, [], labels)


def read_new(path: Path, config: DatasetConfig) -> tuple[Inputs, Columns]:
    """Return the inputs of a file in the columns of the data set, labels or not, and all its columns."""
    if not path.is_file():
        raise BadData(f"{path} is no file: give a table with the columns of dataset={config.name}")
    told = replace(config, format="auto") if _known(path) else config
    kind = format_of(path, told)
    if kind == "idx":
        return images.read_idx(path, 3), {}
    columns = read_table(path, kind, told)
    return _inputs(columns, str(path), told), columns


def _inputs(columns: Columns, origin: str, config: DatasetConfig) -> Inputs:
    """Return the inputs as training reads them, with labels that nobody looks at."""
    wanted = [("image", config.image)]
    if config.modality == "text":
        wanted = [(option, name) for option, name, _ in rows.text_columns(config)]
    plain = rows.Source("row", origin, columns, config)
    count = max(len(plain.column(option, name)) for option, name in wanted)
    told = replace(config, label=NOTHING, answer=NOTHING, label_names={}, one_hot={})
    told = replace(told, group=None, split_column=None)
    return rows.Source("row", origin, {**columns, NOTHING: ["-"] * count}, told).examples().inputs


def _known(path: Path) -> bool:
    """Whether a file's name says its format, whatever the format of the data set."""
    return any(suffix in FORMATS for suffix in path.suffixes[-2:])


def ids(columns: Columns, path: Path, count: int, wanted: str | None) -> list[Any]:
    """Return what names each row: a column of the file, or its number from 0."""
    if wanted is None:
        return list(range(count))
    if wanted not in columns:
        raise BadData(f"--id={wanted} is not a column of {path}: choose {suggest(wanted, columns)}")
    return list(columns[wanted])
