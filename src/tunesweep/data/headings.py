"""Columns that a configuration names, looked for in a file's first line: a typo is found in planning.

What cannot be read so quickly, such as JSON or a compressed file, is left to the run, which says the same.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tunesweep.config import DatasetConfig
from tunesweep.data.location import format_of, locations, resolve
from tunesweep.data.rows import no_column, text_columns
from tunesweep.errors import TunesweepError

ELSEWHERE = ("hub:", "sklearn:")
DELIMITERS = {"csv": ",", "tsv": "\t"}


def problems(config: DatasetConfig) -> Iterator[str]:
    """Yield, a sentence each, which columns the local files of a data set lack."""
    if config.modality != "text":
        return
    with suppress(TunesweepError):  # a file that is not there is refused with its own sentence
        places = locations(config)
        for split, place in places.items() if config.folds is None else [("train", places["train"])]:
            names = None if place.startswith(ELSEWHERE) else _of(resolve(place, f"dataset.{split}"), config)
            for option, name in _wanted(config):
                if names is not None and name not in names:
                    yield str(no_column(option, name, names, place, config))


def _wanted(config: DatasetConfig) -> list[tuple[str, str]]:
    found = [(option, name) for option, name, _ in text_columns(config)]
    if config.task == "instruction":
        return [*found, ("answer", config.answer)]
    labels = config.task == "classification" and not config.one_hot
    return [*found, ("label", config.label)] if labels else found


def _of(path: Path, config: DatasetConfig) -> list[str] | None:
    """Return the names of a file's columns, if its first line tells them."""
    kind = format_of(path, config)
    if kind not in DELIMITERS or not config.header or path.suffix not in (".csv", ".tsv", ".txt"):
        return None
    delimiter = (config.delimiter or DELIMITERS[kind]).replace("\\t", "\t")
    quoted = config.quoting if config.quoting is not None else kind == "csv"
    with suppress(OSError, ValueError, LookupError, csv.Error), path.open(encoding=config.charset) as file:
        line = file.readline().removeprefix("\ufeff").rstrip("\r\n")
        if not line.strip():  # readers pass over it, or say that the file is empty
            return None
        if quoted and line.count('"') % 2 == 0 and len(delimiter) == 1:
            return next(csv.reader([line], delimiter=delimiter), None)
        return None if quoted else line.split(delimiter)
    return None
