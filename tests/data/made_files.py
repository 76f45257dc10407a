"""The same seven rows in many files, for the tests of reading."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from tunesweep.config import DatasetConfig

TEXTS = ["good film", '"quoted" at once', "NA", "comma, tab-free", "", "naïve\u2028line\x85end", "null"]
LABELS = ["fresh", "rotten", "fresh", "rotten", "fresh", "rotten", "fresh"]
ROWS = [{"text": text, "label": label} for text, label in zip(TEXTS, LABELS, strict=True)]


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def config(path: Path | str, **options: Any) -> DatasetConfig:
    return DatasetConfig(name="files", train=str(path), **options)


def as_csv(delimiter: str = ",", end: str = "\n") -> str:
    quoted = [[text.replace('"', '""'), label] for text, label in zip(TEXTS, LABELS, strict=True)]
    return end.join(
        ["text" + delimiter + "label", *(f'"{text}"{delimiter}{label}' for text, label in quoted)]
    )


def idx(array: np.ndarray[Any, Any]) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
