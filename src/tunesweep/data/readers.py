"""A data set as its three splits: read, check, cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunesweep.config import SPLITS, DatasetConfig
from tunesweep.data import hub, images
from tunesweep.data.examples import Examples, Splits
from tunesweep.data.location import format_of, idx_labels, locations, resolve
from tunesweep.data.rows import Source, named_columns, pictures, running
from tunesweep.data.splits import divide
from tunesweep.data.tables import read_table, read_text
from tunesweep.errors import BadConfig, BadData, require


def load(config: DatasetConfig, seed_split: int) -> Splits:
    """Return train, select and test; labels are checked before anything is cut."""
    places = locations(config)
    wanted = [split for split in places if config.folds is None or split == "train"]
    whole = {split: read(split, places[split], config) for split in wanted}
    given = by_column(whole, config)
    labels = class_order(given, config) if config.task == "classification" else []
    _check_classes(labels, config)
    parts = divide(given, config, seed_split)
    _check_scored(parts["test"], config)
    if labels and not config.train_classes and len(set(parts["train"].labels)) < 2:
        raise BadData(f"dataset.limit.train={config.limit.train} leaves rows of one class: raise it")
    if config.augment_swaps:
        parts["train"] = both_orders(parts["train"], config)
    shade = images.value_range(places["train"]) if config.modality == "image" else None
    named = set(SPLITS) & set(whole["train"].sides or ())  # of which folds take the rows of train alone
    unread = sorted({*places, *named} - set(given))
    return Splits(**parts, labels=labels, value_range=shade, unread=unread)


def read(split: str, location: str, config: DatasetConfig) -> Examples:
    """Return the rows of one location."""
    if location.startswith("sklearn:"):
        return pictures(Source(split, location, {}, config), *images.read_digits(location))
    if location.startswith("hub:"):
        columns = hub.columns(location, config.revision, named_columns(config))
        return Source(split, location, columns, config).examples()
    path = resolve(location, f"dataset.{split}")
    kind = format_of(path, config)
    if kind == "idx":
        return pictures(Source(split, str(path), {}, config), *_idx(path))
    if kind == "text":  # cut at each line feed: joined with line feeds the lines are the file again
        return running(split, read_text(path, config.charset).split("\n"))
    return Source(split, str(path), read_table(path, kind, config), config).examples()


def _idx(path: Path) -> tuple[images.Array, list[str]]:
    found, labels = images.read_idx(path, 3), images.read_idx(idx_labels(path), 1)
    if len(found) != len(labels):
        raise BadData(f"{path} has {len(found)} images but {len(labels)} labels: fetch both again")
    return found, [str(label) for label in labels]


def by_column(given: dict[str, Examples], config: DatasetConfig) -> dict[str, Examples]:
    """Return the splits that the rows of train name for themselves, where there is such a column."""
    sides = given["train"].sides
    if sides is None:
        return given
    found = {
        split: given["train"].take([row for row, side in enumerate(sides) if side == split])
        for split in SPLITS
        if split in sides and (config.folds is None or split == "train")
    }
    twice = sorted((set(found) & set(given)) - {"train"})
    if twice or "train" not in found:
        fault = (
            f"names a {twice[0]} split, which dataset.{twice[0]} gives too"
            if twice
            else "names no train split"
        )
        raise BadConfig(f"dataset.split_column={config.split_column} {fault}: drop one, or set split_names")
    return given | found


def class_order(given: Mapping[str, Examples], config: DatasetConfig) -> list[str]:
    """Return the classes in order, after checking that every split knows the same ones."""
    learnt = sorted(set(given["train"].labels))
    known = ", ".join(learnt)
    rows = len(given["train"].labels)
    if rows > 2 and len(learnt) == rows:
        raise BadData(
            f"dataset.label={config.label} has another value in each of {rows} rows of train: "
            "name the column that says the class"
        )
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


def _check_scored(test: Examples, config: DatasetConfig) -> None:
    """Refuse a test split without any row of the classes that alone are learned from."""
    if config.train_classes and not set(test.labels) & set(config.train_classes):
        raise BadData(
            f"dataset.train_classes={config.train_classes}: the test split has no row of these classes, so "
            "nothing could be said of what was learned: score more rows, or name others"
        )


def _check_classes(labels: list[str], config: DatasetConfig) -> None:
    for key in ("train_classes", "swap"):
        for name in getattr(config, key) or ():
            require(name, labels, f"a class in dataset.{key}")


def swapped(examples: Examples, config: DatasetConfig) -> Examples:
    """Return the same comparisons with the two responses in the other order, and their classes exchanged."""
    if config.responses is None or config.swap is None:
        raise BadConfig(
            "exchanging responses needs dataset.responses and dataset.swap, two columns and two classes"
        )
    first, second = config.swap
    other = {first: second, second: first}
    comparisons: list[Any] = list(examples.inputs)
    inputs: list[tuple[str, ...]] = [(text, b, a) for text, a, b in comparisons]
    return replace(examples, inputs=inputs, labels=[other.get(label, label) for label in examples.labels])


def both_orders(examples: Examples, config: DatasetConfig) -> Examples:
    """Return every comparison in both orders: as it is, then swapped, under an id of its own."""
    other = swapped(examples, config)
    return replace(
        examples,
        ids=[*examples.ids, *(f"{name}-swapped" for name in other.ids)],
        inputs=[*examples.inputs, *other.inputs],
        labels=[*examples.labels, *other.labels],
        groups=None if examples.groups is None else examples.groups * 2,
        sides=None,
        converted=examples.converted | {f"{name}-swapped" for name in examples.converted},
    )
