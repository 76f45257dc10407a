"""Files of rows as columns: nothing is guessed, nothing is lost in silence."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tunesweep.config import DatasetConfig
from tunesweep.errors import BadConfig, BadData

Columns = dict[str, list[Any]]  # None where a value is missing
DECOMPRESS = {".gz": gzip.decompress, ".bz2": bz2.decompress, ".xz": lzma.decompress}


def read_table(path: Path, kind: str, config: DatasetConfig) -> Columns:
    """Return the columns of a file by name, or by number ("0", "1") where there is no header."""
    if kind == "parquet":
        columns = _parquet(path)
    else:
        columns = READERS[kind](read_text(path, config.charset), path, config)
    if not any(columns.values()):
        raise BadData(f"{path} has no rows: expected at least two classes of them")
    return columns


def read_bytes(path: Path) -> bytes:
    """Return what a file holds, decompressed by the ending of its name."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadData(f"{path} cannot be opened: {error.strerror}; check its permissions") from None
    try:
        raw = DECOMPRESS.get(path.suffix, bytes)(raw)
    except (EOFError, OSError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise BadData(f"{path} is damaged or incomplete: {error}; fetch it again") from None
    if not raw.strip():
        raise BadData(f"{path} is empty: expected rows of examples")
    return raw


def read_text(path: Path, charset: str) -> str:
    """Decode a file strictly; a byte-order mark is dropped."""
    raw = read_bytes(path)
    try:
        text = raw.decode(charset).removeprefix("\ufeff")
    except LookupError:
        raise BadConfig(f"dataset.charset={charset} is not a charset: utf-8 and latin-1 are common") from None
    except UnicodeDecodeError as error:
        if b"\0" in raw:
            raise _binary(path) from None
        byte, remedy = raw[error.start], "latin-1" if charset != "latin-1" else "utf-8"
        found = f"byte 0x{byte:02x} at position {error.start}"
        raise BadData(f"{path} is not {charset}: {found}; try dataset.charset={remedy}") from None
    if "\0" in text:
        raise _binary(path)
    return text


def _binary(path: Path) -> BadData:
    return BadData(f"{path} has NUL bytes, so it is a binary file: expected text (or dataset.charset=utf-16)")


def _lines(text: str) -> list[str]:
    """Split at line feeds only: other characters that Python calls line ends occur within texts."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines[:-1] if not lines[-1] else lines


def _delimited(text: str, path: Path, config: DatasetConfig, delimiter: str, quoted: bool) -> Columns:
    delimiter = (config.delimiter or delimiter).replace("\\t", "\t")
    quoted = quoted if config.quoting is None else config.quoting
    if quoted:
        rows = _quoted(text, path, delimiter)
    else:
        rows = [(number, line.split(delimiter)) for number, line in enumerate(_lines(text), 1) if line]
    if not rows:
        raise BadData(f"{path} is empty: expected rows of examples")
    first = rows[0][1]
    names = first if config.header else [str(number) for number in range(len(first))]
    return _columns(names, rows[1:] if config.header else rows, path)


def _quoted(text: str, path: Path, delimiter: str) -> list[tuple[int, list[str]]]:
    if len(delimiter) != 1:
        raise BadConfig(f"dataset.delimiter={delimiter!r} must be one character where dataset.quoting is on")
    # The limit of a field, 131,072 characters, is the process's own; real texts are longer.
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        return [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        place, remedy = f"line {reader.line_num} of {path}", "if quotes are plain text: dataset.quoting=false"
        raise BadData(f"{place} is wrongly quoted: {error}; {remedy}") from None


def _columns(names: Sequence[str], rows: Sequence[tuple[int, list[str]]], path: Path) -> Columns:
    if len(set(names)) < len(names):
        raise BadData(f"{path} has two columns of one name: {', '.join(names)}; rename one")
    for line, row in rows:
        if len(row) != len(names):
            remedy = "check dataset.delimiter, dataset.quoting and dataset.header"
            raise BadData(f"line {line} of {path} has {len(row)} fields, expected {len(names)}: {remedy}")
    return {name: [row[place] for _, row in rows] for place, name in enumerate(names)}


def _csv(text: str, path: Path, config: DatasetConfig) -> Columns:
    return _delimited(text, path, config, ",", quoted=True)


def _tsv(text: str, path: Path, config: DatasetConfig) -> Columns:
    return _delimited(text, path, config, "\t", quoted=False)


def _jsonl(text: str, path: Path, config: DatasetConfig) -> Columns:
    lines = [(number, line) for number, line in enumerate(_lines(text), 1) if line.strip()]
    return _records([_json(line, f"line {number} of {path}") for number, line in lines], path)


def _json_file(text: str, path: Path, config: DatasetConfig) -> Columns:
    data = _json(text, str(path))
    if not isinstance(data, dict):
        return _records(data, path)
    if not all(isinstance(values, list) for values in data.values()):
        raise BadData(f"{path} must be a list of records or a dict of lists of one length")
    if len({len(values) for values in data.values()}) > 1:
        raise BadData(f"{path} has columns of different lengths: expected one value a row in each")
    return data


def _json(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadData(f"{place} is not JSON: {error}; mend it, or set dataset.format") from None


def _records(records: Any, path: Path) -> Columns:
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise BadData(f"{path} must hold records, as in {{'text': 'good film', 'label': 'fresh'}}")
    names = dict.fromkeys(name for record in records for name in record)
    return {name: [record.get(name) for record in records] for name in names}


def _patterned(text: str, path: Path, config: DatasetConfig) -> Columns:
    try:
        pattern = re.compile(config.pattern or "")
    except re.error as error:
        raise BadConfig(f"dataset.pattern={config.pattern} is not a regular expression: {error}") from None
    if not pattern.groupindex:
        raise BadConfig("dataset.pattern must have named groups, as in '(?P<label>\\w+) (?P<text>.*)'")
    rows = []
    for number, line in enumerate(_lines(text), 1):
        found = pattern.fullmatch(line)
        if line and not found:
            raise BadData(f"line {number} of {path} does not fit dataset.pattern: it begins {line[:40]!r}")
        rows += [found.groupdict()] if line and found else []
    return _records(rows, path)


def _parquet(path: Path) -> Columns:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise BadData(f"{path} is not a whole parquet file: {reason}; fetch it again") from None
    return {name: table[name].to_pylist() for name in table.column_names}


READERS: dict[str, Callable[[str, Path, DatasetConfig], Columns]] = {
    "csv": _csv,
    "tsv": _tsv,
    "jsonl": _jsonl,
    "json": _json_file,
    "lines": _patterned,
}
