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
    """How many rows of each split are used: drawn stratified, or the first of a running text; null: all."""

    train: int | None = None  # rows to learn from
    select: int | None = None  # rows to choose on
    test: int | None = None  # rows to report

    def __post_init__(self) -> None:
        positive("dataset.limit", train=self.train, select=self.select, test=self.test)


@dataclass
class DatasetConfig:
    """Where examples come from, and which columns they are."""

    name: str = MISSING  # as its file
    task: str = "classification"  # classification, language_modeling, instruction
    modality: str = "text"  # text, image
    train: str | None = None  # file, `package:NAME/FILE`, `hub:ID#SPLIT`, `sklearn:digits`
    select: str | None = None  # as train; cut from train where it is null
    test: str | None = None  # as train; cut from train where it is null
    folder: str | None = None  # of IDX files, by their published names; replaces train and test
    path: str | None = (
        None  # folder of local copies, under the names in `files`; replaces train, select, test
    )
    files: dict[str, str] = field(default_factory=dict)  # split -> name in `path`
    local: dict[str, Any] = field(
        default_factory=dict
    )  # keys of this group as they are for the files in `path`
    revision: str | None = None  # of a hub id
    format: str = "auto"  # csv, tsv, jsonl, json, parquet, lines, text, idx; auto: by the file's name
    text: str = "text"  # column name, or number where there is no header
    text_pair: str | None = None  # column of the second text
    responses: list[str] | None = None  # columns of two answers to `text`, of which one is preferred
    swap: list[str] | None = None  # two classes that change places when the responses do
    augment_swaps: bool = False  # learn each pair in both orders
    turns: bool = False  # each text is a JSON list, of the turns of a conversation
    answer: str = "answer"  # instruction: the column of what is to be written
    image: str = "image"  # column of the image
    label: str = "label"  # column of the class
    one_hot: dict[str, str] = field(default_factory=dict)  # column that is 1 -> class; replaces label
    group: str | None = None  # rows of one group never stand on both sides of a split
    labels: list[str] | None = None  # order of the classes; null: sorted names
    label_names: dict[str, str] = field(default_factory=dict)  # value in the file -> class; "": left out
    split_column: str | None = None  # of one file that holds several splits, ...
    split_names: dict[str, str] = field(default_factory=dict)  # ... by the value there -> split; "": left out
    header: bool = True  # whether the first line names the columns
    delimiter: str | None = None  # between columns; null: by the format
    quoting: bool | None = None  # null: csv is quoted, tsv is not
    pattern: str | None = None  # regex with named groups, for format=lines
    charset: str = "utf-8"  # of text files
    test_fraction: float = 0.2  # cut from train where no test split is given
    select_fraction: float = 0.1  # cut from train where no select split is given
    train_classes: list[str] | None = None  # learn from rows of these classes alone; choose and score on all
    folds: int | None = None  # cross-validation: the rows in so many parts, ...
    fold: int = 0  # ... of which this one, from 0, is the test split
    limit: Limit = field(default_factory=Limit)

    def __post_init__(self) -> None:
        require(self.task, TASKS, "dataset.task")
        require(self.modality, ("text", "image"), "dataset.modality")
        if self.delimiter == "":
            raise BadConfig(
                "dataset.delimiter is empty: give one character, quoted twice for shell and Hydra, as in "
                "\"dataset.delimiter=';'\", or leave it out"
            )
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
        self._check_task()
        self._check_responses()

    def _check_task(self) -> None:
        running, classes = self.task == "language_modeling", self.task == "classification"
        if self.format == "text" and not running:
            raise BadConfig(
                "dataset.format=text is one running text: set dataset.task=language_modeling, or format=lines"
            )
        for key in ("train_classes", "one_hot", "responses", "label_names", "labels"):
            if getattr(self, key) and not classes:
                raise BadConfig(f"dataset.{key} is about classes, and dataset.task={self.task} has none")
        for key in ("folds", "group", "split_column", "text_pair"):
            if getattr(self, key) is not None and running:
                raise BadConfig(
                    f"dataset.{key}={getattr(self, key)} is about rows, and a running text has none: "
                    "set it to null"
                )
        for split in self.split_names.values():
            require(split, (*SPLITS, ""), "a value of dataset.split_names")

    def _check_responses(self) -> None:
        if self.responses is None:
            if self.augment_swaps or self.swap:
                raise BadConfig(
                    "dataset.swap is about two responses: name their columns, dataset.responses=[A,B]"
                )
            return
        if len(self.responses) != 2 or self.text_pair is not None:
            raise BadConfig(
                f"dataset.responses={self.responses} must be two columns, beside dataset.text alone "
                f"(dataset.text_pair={self.text_pair})"
            )
        if self.swap is not None and len(set(self.swap)) != 2:
            raise BadConfig(f"dataset.swap={self.swap} must be two classes, that of each response")
        if self.augment_swaps and self.swap is None:
            raise BadConfig(
                "dataset.augment_swaps=true needs the classes that change places: dataset.swap=[A,B]"
            )
