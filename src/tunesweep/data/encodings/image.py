"""What the image encodings share: range and grid, the layout in rows, and how much a text kept."""

from __future__ import annotations

import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tunesweep.data.encodings import Modality
from tunesweep.data.encodings.checks import check_count, check_number, check_text
from tunesweep.errors import BadConfig, BadData

Levels = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ImageEncoding(ABC):
    """An image [height, width] of values in [low, high] as one line of text, and back.

    Contract: `decode(encode(x), x.shape)` equals `quantise(x)`, also after a tokenizer that changes
    white space or letter case (base64 cannot survive the latter).
    """

    modality: ClassVar[Modality] = "image"
    fields: ClassVar[tuple[str, ...]] = ("text",)
    template: ClassVar[str] = "{text}"
    joined: ClassVar[bool] = False
    cut: ClassVar[str] = "tail"  # what is left can be read back as the first pixels
    reserved: ClassVar[str]  # the characters that a pixel may be made of, as in a regex: "0-9"

    name: str
    max_length: int = 512
    low: float = 0.0
    high: float | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        check_text("name", self.name)
        check_count("max_length", self.max_length)
        check_number("low", self.low)
        if self.size is not None:
            check_count("size", self.size)
        if self.high is not None:
            check_number("high", self.high)
            if self.high <= self.low:
                raise BadConfig(f"encoding.high={self.high} must be above encoding.low={self.low}")

    def encode(self, example: NDArray[np.generic]) -> str:
        """Return the image as text."""
        return self._write_grid(self.quantise(example))

    def quantise(self, image: NDArray[np.generic]) -> Levels:
        """Return what the text can carry of the image at best."""
        values = np.asarray(image, dtype=np.float64)
        if values.ndim != 2 or not values.size:
            raise BadData(f"An image of shape {values.shape} has no text: it must be [height, width]")
        low, high = self._range()
        if not (low <= values.min() and values.max() <= high):  # refuses NaN too
            found = f"{values.min():g} to {values.max():g}"
            raise BadData(
                f"Pixels run from {found}, outside of {low:g} to {high:g}: set encoding.low and high"
            )
        return self._levels(self._shrink(values))

    def decode(self, text: str, shape: tuple[int, ...]) -> Levels | None:
        """Return the pixels of an image of that shape; NaN: not in the text; None: unreadable."""
        grid = np.full(self._grid(shape), np.nan)
        self._read_grid(text, grid)
        return None if np.isnan(grid).all() else grid

    def _write_grid(self, levels: Levels) -> str:
        return self._write(levels.ravel().tolist())

    def _read_grid(self, text: str, grid: Levels) -> None:
        self._fill_start(grid.reshape(-1), text)

    def _fill_start(self, pixels: Levels, text: str) -> None:
        """Put the values of a text that may have been cut into the pixels, from the first one on."""
        values = self._read(text)
        if len(values) < len(pixels):
            values = self._settled(values)
        if len(values) <= len(pixels):
            pixels[: len(values)] = values

    def _settled(self, values: Sequence[float]) -> Sequence[float]:
        """Return those values of a text cut short that can not have been longer."""
        return values

    def _range(self) -> tuple[float, float]:
        if self.high is None:
            raise BadConfig("encoding.high=null: no range is known, set the largest value a pixel can take")
        return self.low, self.high

    def _grid(self, shape: tuple[int, ...]) -> tuple[int, int]:
        height, width = shape
        if self.size is None:
            return height, width
        if height % self.size or width % self.size:
            raise BadConfig(f"encoding.size={self.size} must divide the sides of a {height} x {width} image")
        return self.size, self.size

    def _shrink(self, values: Levels) -> Levels:
        """Average equal blocks down to size x size."""
        if self.size is None:
            return values
        rows, columns = self._grid(values.shape)
        blocks = values.reshape(rows, values.shape[0] // rows, columns, -1)
        return np.asarray(blocks.mean(axis=(1, 3)))

    @abstractmethod
    def _levels(self, values: Levels) -> Levels:
        """Return the values as precisely as the text writes them."""

    @abstractmethod
    def _write(self, levels: list[float]) -> str:
        """Return a run of pixels as text."""

    @abstractmethod
    def _read(self, text: str) -> Sequence[float]:
        """Return the pixels of a text; none when it is unreadable."""

    @abstractmethod
    def _gap(self) -> str:
        """Return what may stand between two pixels."""


@dataclass(frozen=True, kw_only=True)
class Rows(ImageEncoding):
    """The same, with a mark between the rows that says where each begins."""

    row_separator: str = " | "  # not a newline: BERT's tokenizers drop it

    def __post_init__(self) -> None:
        super().__post_init__()
        check_text("row_separator", self.row_separator)
        refuse_reserved("row_separator", self.row_separator, self.reserved)
        mark, gap = _squeeze(self.row_separator), self._gap()
        if (mark and mark in _squeeze(gap)) or self.row_separator in gap:
            raise BadConfig(
                f"encoding.row_separator={self.row_separator!r} also stands between pixels ({gap!r}): "
                "choose another mark, for example ' | '"
            )

    def _write_grid(self, levels: Levels) -> str:
        return self.row_separator.join(self._write(row) for row in levels.tolist())

    def _read_grid(self, text: str, grid: Levels) -> None:
        *rows, last = self._split(text)
        if len(rows) >= len(grid):  # what was taken for a mark is something else
            return super()._read_grid(text, grid)
        for pixels, row in zip(grid, rows, strict=False):
            values = self._read(row)
            if len(values) == len(pixels):
                pixels[:] = values
        return self._fill_start(grid[len(rows) :].reshape(-1), last)

    def _split(self, text: str) -> list[str]:
        """Cut at the mark, whatever spaces and letter case a tokenizer gave it."""
        mark = _squeeze(self.row_separator)
        if not mark:
            return text.split(self.row_separator)
        return re.split(r"\s*".join(map(re.escape, mark)), text, flags=re.IGNORECASE)


def refuse_reserved(key: str, value: str, reserved: str) -> None:
    """Refuse a separator that could be read as part of a pixel, as it is or as some tokenizers rewrite it."""
    if re.search(f"[{reserved}]", unicodedata.normalize("NFKC", value)):
        raise BadConfig(f"encoding.{key}={value!r} could be read as a pixel: use none of {reserved}")


def kept_pixels(encoding: ImageEncoding, image: NDArray[np.generic], text_back: str) -> float:
    """Return the share of pixels that a text which went through a tokenizer still holds exactly."""
    back = encoding.decode(text_back, image.shape)
    return 0.0 if back is None else float(np.mean(back == encoding.quantise(image)))


def _squeeze(text: str) -> str:
    return "".join(text.split()).casefold()
