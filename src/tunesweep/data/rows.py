"""Columns as examples: which column is what, and what each cell becomes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunesweep.config import SPLITS, DatasetConfig
from tunesweep.data import images
from tunesweep.data.examples import Examples, Inputs
from tunesweep.data.tables import Columns
from tunesweep.errors import BadConfig, BadData, suggest


def named_columns(config: DatasetConfig) -> set[str]:
    """Return the columns that a config reads, by name."""
    content = [config.image] if config.modality == "image" else [name for _, name, _ in text_columns(config)]
    answer = {"instruction": [config.answer], "language_modeling": []}
    labels = answer.get(config.task, list(config.one_hot) or [config.label])
    return {name for name in (*content, *labels, config.group, config.split_column) if name is not None}


def text_columns(config: DatasetConfig) -> list[tuple[str, str, bool]]:
    """Return option, column, and whether cells may be missing, of each text of an example."""
    found = [("text", config.text, False)]
    if config.text_pair is not None:
        found.append(("text_pair", config.text_pair, config.task == "instruction"))
    return found + [("responses", name, False) for name in config.responses or ()]


def no_column(option: str, name: str, names: Sequence[str], origin: str, config: DatasetConfig) -> BadData:
    """Return the error that a file lacks a column, with those that it has."""
    found = suggest(name, [column[:40] for column in names]) + _clue(list(names), config)
    return BadData(f"dataset.{option}={name} is not a column of {origin}: choose {found}")


def running(split: str, documents: list[str]) -> Examples:
    """Return the documents of one text, in its order."""
    ids = [f"{split}-{row}" for row in range(len(documents))]
    return Examples(ids, documents, [""] * len(documents), task="language_modeling")


@dataclass(frozen=True)
class Source:
    """What was read from one place for one split; pictures that came with their labels have no columns."""

    split: str
    origin: str  # as messages name it
    columns: Columns
    config: DatasetConfig
    odd: set[int] = field(default_factory=set)  # rows whose texts were no valid texts

    def examples(self) -> Examples:
        """Return the rows of a table."""
        config = self.config
        if config.modality == "image":
            return self.classes(images.stack(self.column("image", config.image), self.origin), self._labels())
        parts = [self._texts(*wanted) for wanted in text_columns(config)]
        if config.task == "language_modeling":
            return running(self.split, [text.removesuffix("\n") for text in parts[0]])
        inputs: Inputs = parts[0] if len(parts) == 1 else list(zip(*parts, strict=True))
        if config.task == "instruction":
            return self._rows(inputs, self._texts("answer", config.answer))
        return self.classes(inputs, self._labels())

    def classes(self, inputs: Inputs, labels: Sequence[Any]) -> Examples:
        """Return rows with their classes, without those that `label_names` leaves out."""
        names = [self._class(row, value) for row, value in enumerate(labels)]
        kept = [row for row, name in enumerate(names) if name]
        if not kept:
            raise BadData(f"{self.origin} has no rows left: dataset.label_names leaves out every class")
        examples = self._rows(inputs, names)
        return examples if len(kept) == len(names) else examples.take(kept)

    def _rows(self, inputs: Inputs, labels: list[str]) -> Examples:
        return Examples(
            ids=[f"{self.split}-{row}" for row in range(len(labels))],
            inputs=inputs,
            labels=labels,
            groups=self._groups(),
            sides=self._sides(),
            converted=frozenset(f"{self.split}-{row}" for row in self.odd),
            task=self.config.task,
        )

    def column(self, option: str, name: str) -> list[Any]:
        """Return a column, or say which there are."""
        if name in self.columns:
            return self.columns[name]
        raise no_column(option, name, list(self.columns), self.origin, self.config)

    def _texts(self, option: str, name: str, optional: bool = False) -> list[str]:
        """Return a column as texts; the rows where that took a conversion are noted."""
        cells = self.column(option, name)
        return [
            self._text(row, name, "" if cell is None and optional else cell) for row, cell in enumerate(cells)
        ]

    def _text(self, row: int, name: str, cell: Any) -> str:
        if cell is None or isinstance(cell, (dict, list)):
            kind = "no value" if cell is None else f"a {type(cell).__name__}"
            place = f"row {row} of {self.origin} has {kind} in column '{name}'"
            raise BadData(f"{place}: expected text (an empty one will do)")
        text = str(cell)
        if self.config.turns:
            text = _conversation(text, f"row {row} of {self.origin}, column '{name}',")
        whole = _whole(text)
        if whole != text or not isinstance(cell, str):
            self.odd.add(row)
        return whole

    def _groups(self) -> list[str] | None:
        name = self.config.group
        # Only where rows are cut does a group matter; a finished test split may come without it.
        if name is None or not (self.split == "train" or name in self.columns):
            return None
        cells = self.column("group", name)
        if None in cells:
            row = cells.index(None)
            raise BadData(f"row {row} of {self.origin} has no value in column '{name}': fill it in")
        return [str(cell) for cell in cells]

    def _sides(self) -> list[str] | None:
        if self.config.split_column is None:
            return None
        cells = self.column("split_column", self.config.split_column)
        names = self.config.split_names or {split: split for split in SPLITS}
        return [self._known(row, str(cell).strip(), names, "split") for row, cell in enumerate(cells)]

    def _labels(self) -> list[Any]:
        classes = self.config.one_hot
        if not classes:
            return self.column("label", self.config.label)
        marks = [self.column("one_hot", name) for name in classes]
        return [self._marked(row, cells) for row, cells in enumerate(zip(*marks, strict=True))]

    def _marked(self, row: int, cells: Iterable[Any]) -> str:
        marked = [str(cell).strip().casefold() in ("1", "1.0", "true") for cell in cells]
        if sum(marked) != 1:
            names = ", ".join(self.config.one_hot)
            place = f"row {row} of {self.origin}"
            raise BadData(f"{place} is marked in {sum(marked)} of the columns {names}: expected one")
        return list(self.config.one_hot.values())[marked.index(True)]

    def _class(self, row: int, value: Any) -> str:
        """Return the name of a label; the name '' in `label_names` leaves its rows out."""
        text = "" if value is None or isinstance(value, (dict, list)) else str(value).strip()
        names = self.config.label_names
        if not text and "" not in names:
            place = f"row {row} of {self.origin} has no label in column '{self.config.label}'"
            raise BadData(f"{place}: label it or remove it")
        return self._known(row, text, names, "label") if names else text

    def _known(self, row: int, text: str, names: dict[str, str], what: str) -> str:
        if text not in names:
            known = suggest(text, names)
            place = f"row {row} of {self.origin}"
            raise BadData(f"{place} has the {what} '{text}', dataset.{what}_names has {known}")
        return names[text]


def pictures(source: Source, found: images.Array, labels: Sequence[Any]) -> Examples:
    """Return images that came with their labels."""
    if source.config.modality != "image":
        raise BadConfig(f"{source.origin} holds images: set dataset.modality=image")
    for key in ("group", "split_column"):
        if name := getattr(source.config, key):
            raise BadConfig(f"dataset.{key}={name} is not known in {source.origin}: set dataset.{key}=null")
    return source.classes(found, labels)


def _clue(names: list[str], config: DatasetConfig) -> str:
    """Say what the names of the columns betray about how the file was read."""
    if len(names) == 1:
        mark = next((mark for mark in ("\t", ";", "|", ",") if mark in names[0]), None)
        # In double quotes: a shell and Hydra each take away one pair.
        remedy = f'set "dataset.delimiter={mark!r}"' if mark else "check dataset.format and dataset.delimiter"
        return f"; it was read as one column: {remedy}"
    if not config.header:
        return "; without a header columns have numbers"
    if any(len(name) > 40 for name in names):
        return "; if the first row is not a header: dataset.header=false"
    return ""


def _whole(text: str) -> str:
    """Return a text in which halves of UTF-16 pairs, which no tokenizer takes, are marked as unreadable."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _conversation(text: str, place: str) -> str:
    try:
        turns = json.loads(text)
    except ValueError:
        turns = None
    if not isinstance(turns, list):
        raise BadData(f"{place} is no JSON list of turns: it begins {text[:40]!r}; dataset.turns=false?")
    return "\n\n".join("" if turn is None else str(turn) for turn in turns)
