"""A data set as its three splits: read, check, cut."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunesweep.config import DatasetConfig
from tunesweep.data import hub, images
from tunesweep.data.examples import Examples, Inputs, Splits
from tunesweep.data.location import format_of, idx_labels, locations, resolve
from tunesweep.data.splits import divide
from tunesweep.data.tables import Columns, read_table
from tunesweep.errors import BadConfig, BadData, suggest


def load(config: DatasetConfig, seed_split: int) -> Splits:
    """Return train, select and test; labels are checked before anything is cut."""
    places = locations(config)
    given = {split: read(split, place, config) for split, place in places.items()}
    labels = class_order(given, config)
    parts = divide(given, config, seed_split)
    if len(set(parts["train"].labels)) < 2:
        raise BadData(f"dataset.limit.train={config.limit.train} leaves rows of one class: raise it")
    shade = images.value_range(places["train"]) if config.modality == "image" else None
    return Splits(**parts, labels=labels, value_range=shade)


def read(split: str, location: str, config: DatasetConfig) -> Examples:
    """Return the rows of one location."""
    if location.startswith("sklearn:"):
        return _pictures(split, location, *images.read_digits(location), config=config)
    if location.startswith("hub:"):
        return _from_columns(split, location, hub.columns(location, config.revision), config)
    path = resolve(location, f"dataset.{split}")
    kind = format_of(path, config)
    if kind == "idx":
        return _pictures(split, location, *_idx(path), config=config)
    return _from_columns(split, str(path), read_table(path, kind, config), config)


def _idx(path: Path) -> tuple[images.Array, list[str]]:
    pictures, labels = images.read_idx(path, 3), images.read_idx(idx_labels(path), 1)
    if len(pictures) != len(labels):
        raise BadData(f"{path} has {len(pictures)} images but {len(labels)} labels: fetch both again")
    return pictures, [str(label) for label in labels]


def _pictures(
    split: str, origin: str, pictures: images.Array, labels: Sequence[Any], *, config: DatasetConfig
) -> Examples:
    if config.modality != "image":
        raise BadConfig(f"{origin} holds images: set dataset.modality=image")
    if config.group:
        raise BadConfig(f"dataset.group={config.group} is not known in {origin}: set dataset.group=null")
    return _examples(split, origin, pictures, labels, config=config)


def _from_columns(split: str, origin: str, columns: Columns, config: DatasetConfig) -> Examples:
    labels = _column(columns, "label", origin, config)
    groups = None
    # Only where rows are cut does a group matter; a finished test split may come without it.
    if config.group and (split == "train" or config.group in columns):
        groups = _texts(columns, "group", origin, config)
    return _examples(split, origin, _inputs(columns, origin, config), labels, groups=groups, config=config)


def _inputs(columns: Columns, origin: str, config: DatasetConfig) -> Inputs:
    if config.modality == "image":
        return images.stack(_column(columns, "image", origin, config), origin)
    texts = _texts(columns, "text", origin, config)
    if config.text_pair is None:
        return texts
    return list(zip(texts, _texts(columns, "text_pair", origin, config), strict=True))


def _column(columns: Columns, field: str, origin: str, config: DatasetConfig) -> list[Any]:
    name = getattr(config, field)
    if name in columns:
        return columns[name]
    names = list(columns)
    found = suggest(name, [column[:40] for column in names])
    raise BadData(f"dataset.{field}={name} is not a column of {origin}: choose {found}{_clue(names, config)}")


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


def _texts(columns: Columns, field: str, origin: str, config: DatasetConfig) -> list[str]:
    values = _column(columns, field, origin, config)
    for row, value in enumerate(values):
        if value is None or isinstance(value, (dict, list)):
            kind = "no value" if value is None else f"a {type(value).__name__}"
            place = f"row {row} of {origin} has {kind} in column '{getattr(config, field)}'"
            raise BadData(f"{place}: expected text (an empty one will do)")
    return [str(value) for value in values]


def _examples(
    split: str,
    origin: str,
    inputs: Inputs,
    labels: Sequence[Any],
    *,
    config: DatasetConfig,
    groups: list[str] | None = None,
) -> Examples:
    names = [_class(value, row, origin, config) for row, value in enumerate(labels)]
    ids = [f"{split}-{row}" for row in range(len(names))]
    kept = [row for row, name in enumerate(names) if name]
    if not kept:
        raise BadData(f"{origin} has no rows left: dataset.label_names leaves out every class")
    examples = Examples(ids=ids, inputs=inputs, labels=names, groups=groups)
    return examples if len(kept) == len(names) else examples.take(kept)


def _class(value: Any, row: int, origin: str, config: DatasetConfig) -> str:
    """Return the name of a label; the name '' in `label_names` leaves its rows out."""
    if value is None or isinstance(value, (dict, list)) or not str(value).strip():
        raise BadData(f"row {row} of {origin} has no label in column '{config.label}': label it or remove it")
    text = str(value).strip()
    if not config.label_names:
        return text
    if text not in config.label_names:
        known = suggest(text, config.label_names)
        raise BadData(f"row {row} of {origin} has the label '{text}', dataset.label_names has {known}")
    return config.label_names[text]


def class_order(given: dict[str, Examples], config: DatasetConfig) -> list[str]:
    """Return the classes in order, after checking that every split knows the same ones."""
    learnt = sorted(set(given["train"].labels))
    known = ", ".join(learnt)
    if len(learnt) < 2:
        raise BadData(f"dataset.train has one class only, '{known}': expected two or more")
    for split, examples in given.items():
        unseen = sorted(set(examples.labels) - set(learnt))
        if unseen:
            raise BadData(f"dataset.{split} has the label '{unseen[0]}', which train lacks: it has {known}")
    if config.labels and len(set(config.labels)) < len(config.labels):
        raise BadData(f"dataset.labels={config.labels} names a class twice: name each once")
    missing = sorted(set(learnt) - set(config.labels or learnt))
    if missing:
        raise BadData(f"dataset.labels lacks '{missing[0]}', a class of the data: expected {known}")
    return list(config.labels or learnt)
