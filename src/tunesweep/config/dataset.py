"""The group `dataset`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from tunesweep.config.checks import fraction, positive
from tunesweep.errors import BadConfig, require

TASKS = ("classification", "language_modeling", "instruction")
SPLITS = ("train", "select", "test")


@dataclass
class Limit:
    """How many rows of each split are used, drawn stratified; null takes all."""

    train: int | None = None
    select: int | None = None
    test: int | None = None

    def __post_init__(self) -> None:
        positive("dataset.limit", train=self.train, select=self.select, test=self.test)


@dataclass
class DatasetConfig:
    """Where examples come from, and which columns they are."""

    name: str = MISSING
    task: str = "classification"  # classification, language_modeling, instruction
    modality: str = "text"  # text, image
    train: str | None = None  # file, `package:NAME/FILE`, `hub:ID#SPLIT`, `sklearn:digits`
    select: str | None = None
    test: str | None = None
    folder: str | None = None  # of IDX files, by their published names; replaces train and test
    path: str | None = None  # folder of local copies, under the names in `files`; replaces train, select, test
    files: dict[str, str] = field(default_factory=dict)  # split -> name in `path`
    local: dict[str, Any] = field(default_factory=dict)  # keys of this group as they are for the files in `path`
    revision: str | None = None  # of a hub id
    format: str = "auto"  # csv, tsv, jsonl, json, parquet, lines, text, idx; auto: by the file's name
    text: str = "text"  # column name, or number where there is no header
    text_pair: str | None = None
    responses: list[str] | None = None  # columns of two answers to `text`, of which one is preferred
    swap: list[str] | None = None  # two classes that change places when the responses do
    augment_swaps: bool = False  # learn each pair in both orders
    answer: str = "answer"  # instruction: the column of what is to be written
    image: str = "image"
    label: str = "label"
    group: str | None = None  # rows of one group never stand on both sides of a split
    labels: list[str] | None = None  # order of the classes; null: sorted names
    label_names: dict[str, str] = field(default_factory=dict)  # value in the file -> class; "": left out
    header: bool = True
    delimiter: str | None = None
    quoting: bool | None = None  # null: csv is quoted, tsv is not
    pattern: str | None = None  # regex with named groups, for format=lines
    charset: str = "utf-8"
    test_fraction: float = 0.2  # cut from train where no test split is given
    select_fraction: float = 0.1  # cut from train where no select split is given
    train_classes: list[str] | None = None  # learn from rows of these classes alone
    folds: int | None = None  # cross-validation: the rows in so many parts, ...
    fold: int = 0  # ... of which this one, from 0, is the test split
    limit: Limit = field(default_factory=Limit)

    def __post_init__(self) -> None:
        require(self.task, TASKS, "dataset.task")
        require(self.modality, ("text", "image"), "dataset.modality")
        formats = ("auto", "csv", "tsv", "jsonl", "json", "parquet", "lines", "text", "idx")
        require(self.format, formats, "dataset.format")
        fraction("dataset", test_fraction=self.test_fraction, select_fraction=self.select_fraction)
        if self.folds is not None and not 0 <= self.fold < self.folds >= 2:
            raise BadConfig(
                f"dataset.fold={self.fold} of dataset.folds={self.folds}: folds must be 2 or more, "
                "fold from 0 to folds - 1"
            )
        if not (self.train or self.folder or self.path):
            raise BadConfig("dataset.train=null: name the file to learn from, dataset.train=PATH")
