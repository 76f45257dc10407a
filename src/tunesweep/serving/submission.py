"""Columns of one's choice, in one's order, as a file."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any, NamedTuple

from tunesweep.errors import BadConfig, StorageError, suggest
from tunesweep.store import write

Frame = dict[str, list[Any]]  # column -> values, in the order of the rows


class Column(NamedTuple):
    """A column of the file that is written, and what stands in it."""

    name: str
    source: str


def parse(text: str | None) -> list[Column] | None:
    """Read `id,label=prediction,p_fresh=p:fresh`; a name with a comma stands in double quotes."""
    if text is None:
        return None
    parts = next(csv.reader([text], skipinitialspace=True), [])
    columns = [Column(*_halves(part)) for part in parts]
    names = [column.name for column in columns]
    if not columns or not all(name and source for name, source in columns):
        raise BadConfig(f"--columns={text} must read NAME=SOURCE,...: 'id,label=prediction' is an example")
    if twice := [name for name in names if names.count(name) > 1]:
        raise BadConfig(f"--columns={text} names {twice[0]} twice: give every column a name of its own")
    return columns


def _halves(part: str) -> tuple[str, str]:
    name, equals, source = part.partition("=")
    return (name.strip(), source.strip()) if equals else (part.strip(), part.strip())


def chosen(frame: Frame, columns: list[Column] | None) -> Frame:
    """Return the columns that are asked for, under the names that are asked for; all where nothing is."""
    if columns is None:
        return frame
    for column in columns:
        if column.source not in frame:
            raise BadConfig(
                f"--columns: '{column.source}' is nothing that this run says: choose "
                f"{suggest(column.source, frame)}"
            )
    return {column.name: frame[column.source] for column in columns}


def save(frame: Frame, path: Path) -> None:
    """Write a file in the format that its name says, whole or not at all."""
    if path.suffix == ".parquet":
        _parquet(frame, path)
        return
    write(path, TEXTS[path.suffix](frame))


def check_name(path: Path | None) -> None:
    """Refuse a file whose format is unknown, before anything is computed for it."""
    options = [*TEXTS, ".parquet"]
    if path is not None and path.suffix not in options:
        found = suggest(path.suffix, options)
        raise BadConfig(f"--out={path} has no format that is known: end its name in {found}")


def as_csv(frame: Frame, delimiter: str = ",") -> str:
    """Return delimited text with a header; what holds the delimiter or a line end is quoted."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(frame)
    writer.writerows(zip(*frame.values(), strict=True))
    return text.getvalue()


def _jsonl(frame: Frame) -> str:
    rows = zip(*frame.values(), strict=True)
    return "".join(f"{json.dumps(dict(zip(frame, row, strict=True)), ensure_ascii=False)}\n" for row in rows)


def _parquet(frame: Frame, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(dict(frame)), part)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StorageError(f"--out={path} cannot be written: {error.strerror or error}") from None


TEXTS = {".csv": as_csv, ".tsv": lambda frame: as_csv(frame, "\t"), ".jsonl": _jsonl}
