"""Images as arrays [n, height, width] of grey values."""

from __future__ import annotations

import gzip
import importlib
import io
import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tunesweep.data.location import digits
from tunesweep.data.tables import read_bytes
from tunesweep.errors import BadData

Array = np.ndarray[Any, np.dtype[Any]]


def value_range(location: str) -> tuple[float, float]:
    """Return the darkest and the brightest value that images from there can have."""
    return (0.0, 16.0) if location.startswith("sklearn:") else (0.0, 255.0)


def read_digits(location: str) -> tuple[Array, list[str]]:
    """Read scikit-learn's 1,797 images of 8 x 8: 64 values and the digit on each line."""
    with gzip.open(digits(location), "rt") as stream:
        rows = np.loadtxt(stream, delimiter=",", dtype=np.uint8)
    return rows[:, :-1].reshape(-1, 8, 8), [str(digit) for digit in rows[:, -1]]


def read_idx(path: Path, dimensions: int) -> Array:
    """Read a file of the IDX format: two zero bytes, type 8 (byte), number of dimensions, their sizes."""
    raw = read_bytes(path)
    if len(raw) < 4 + 4 * dimensions or raw[:4] != bytes([0, 0, 8, dimensions]):
        raise BadData(f"{path} is not an IDX file of {dimensions} dimensions: it begins with {raw[:4].hex()}")
    sizes = struct.unpack_from(f">{dimensions}I", raw, 4)
    values = np.frombuffer(raw, dtype=np.uint8, offset=4 + 4 * dimensions)
    if values.size != math.prod(sizes):
        raise BadData(f"{path} holds {values.size} values, expected {math.prod(sizes)}: fetch it again")
    return values.reshape(sizes)


def stack(cells: Sequence[Any], origin: str) -> Array:
    """Return the images of a column as one array; colours become grey values."""
    images = [_grey(cell, origin) for cell in cells]
    shapes = sorted({image.shape for image in images})
    if len(shapes) > 1 or len(shapes[0]) != 2:
        raise BadData(f"{origin} has images of the shapes {shapes[:3]}: expected one shape, height x width")
    return np.stack(images)


def _grey(cell: Any, origin: str) -> Array:
    if isinstance(cell, dict) and isinstance(cell.get("bytes"), bytes):
        cell = _decoded(cell["bytes"], origin)
    if hasattr(cell, "convert"):
        cell = cell.convert("L")
    values = np.asarray(cell)
    if values.dtype.kind not in "iub":
        raise BadData(f"{origin} has a cell that is not an image of whole numbers: check dataset.image")
    if values.size and not 0 <= values.min() <= values.max() <= 255:
        raise BadData(f"{origin} has a pixel of {values.min()} or {values.max()}: expected 0 to 255")
    return values.astype(np.uint8)


def _decoded(raw: bytes, origin: str) -> Any:
    try:
        return importlib.import_module("PIL.Image").open(io.BytesIO(raw))
    except ImportError:
        raise BadData(f"{origin} holds compressed images, which need Pillow: pip install pillow") from None
    except OSError as error:
        raise BadData(f"{origin} has an image that cannot be decoded: {error}") from None
