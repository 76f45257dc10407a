"""The four ways of writing pixels, each in one run (flat) or row by row (rows)."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tunesweep.data.encodings.checks import check_count, check_number, check_text
from tunesweep.data.encodings.image import ImageEncoding, Levels, Rows, refuse_reserved
from tunesweep.errors import BadConfig


@dataclass(frozen=True, kw_only=True)
class _Separated(ImageEncoding):
    """Pixels with a separator between them."""

    separator: str = " "
    can_touch: ClassVar[bool] = True  # pixels of one width can be told apart without a separator

    def __post_init__(self) -> None:
        super().__post_init__()
        check_text("separator", self.separator, empty=self.can_touch)
        refuse_reserved("separator", self.separator, self.reserved)

    def _gap(self) -> str:
        return self.separator


@dataclass(frozen=True, kw_only=True)
class _Integers(ImageEncoding):
    """Pixels rounded to whole numbers."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low < 0:
            raise BadConfig(f"encoding.low={self.low} must not be negative: {self.name} writes whole numbers")
        if self.high is not None and self.high - self.low < 2:
            raise BadConfig(
                f"encoding.high={self.high} leaves {self.name} nothing but two whole numbers: "
                "choose encoding=normalized_flat, or binary_flat where that is meant"
            )

    def _levels(self, values: Levels) -> Levels:
        return np.rint(values)

    def _inside(self, values: Sequence[float]) -> Sequence[float]:
        """Return the values, or none where one is out of range: such a text was garbled."""
        low, high = np.rint(self._range())
        return values if all(low <= value <= high for value in values) else []


@dataclass(frozen=True, kw_only=True)
class PixelsFlat(_Separated, _Integers):
    """Whole numbers: `0 16 4 8`."""

    reserved: ClassVar[str] = "0-9"
    can_touch: ClassVar[bool] = False

    def _write(self, levels: list[float]) -> str:
        return self.separator.join(str(int(level)) for level in levels)

    def _read(self, text: str) -> Sequence[float]:
        return self._inside([float(number) for number in re.findall(r"[0-9]+", text)])

    def _settled(self, values: Sequence[float]) -> Sequence[float]:
        # A text cut after `12` may have said 128; one cut after 0, or after 30 of 255, may not.
        largest = np.rint(self._range()[1])
        return values[:-1] if values and 0 < 10 * values[-1] <= largest else values


@dataclass(frozen=True, kw_only=True)
class PixelsRows(Rows, PixelsFlat):
    """Whole numbers by rows: `0 16 | 4 8`."""


@dataclass(frozen=True, kw_only=True)
class NormalizedFlat(_Separated):
    """Shares of the range with a fixed number of decimals: `0.00 1.00 0.25 0.50`."""

    reserved: ClassVar[str] = "0-9."
    decimals: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("decimals", self.decimals, largest=6)

    def _levels(self, values: Levels) -> Levels:
        low, high = self._range()
        scale = 10.0**self.decimals
        return np.abs(np.rint((values - low) / (high - low) * scale)) / scale  # abs: no minus zero

    def _write(self, levels: list[float]) -> str:
        return self.separator.join(f"{level:.{self.decimals}f}" for level in levels)

    def _read(self, text: str) -> Sequence[float]:
        # Tokenizers put spaces around the point; the fixed width makes all spaces dispensable.
        number = rf"0\.[0-9]{{{self.decimals}}}|1\.0{{{self.decimals}}}"
        return [float(found) for found in re.findall(number, "".join(text.split()))]


@dataclass(frozen=True, kw_only=True)
class NormalizedRows(Rows, NormalizedFlat):
    """Shares of the range by rows: `0.00 1.00 | 0.25 0.50`."""


@dataclass(frozen=True, kw_only=True)
class BinaryFlat(_Separated):
    """One for what reaches the threshold, a share of the range: `0 1 0 1`."""

    reserved: ClassVar[str] = "0-9"
    threshold: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("threshold", self.threshold)
        if not 0 < self.threshold <= 1:
            raise BadConfig(f"encoding.threshold={self.threshold} must be above 0 and at most 1")

    def _levels(self, values: Levels) -> Levels:
        low, high = self._range()
        return ((values - low) / (high - low) >= self.threshold).astype(np.float64)

    def _write(self, levels: list[float]) -> str:
        return self.separator.join("1" if level else "0" for level in levels)

    def _read(self, text: str) -> Sequence[float]:
        digits = re.findall(r"[0-9]", text)
        return [float(digit) for digit in digits] if set(digits) <= {"0", "1"} else []


@dataclass(frozen=True, kw_only=True)
class BinaryRows(Rows, BinaryFlat):
    """Zeros and ones by rows: `0 1 | 0 1`."""


@dataclass(frozen=True, kw_only=True)
class Base64Flat(_Integers):
    """The bytes of the pixels in base64: `ABAECA==`."""

    reserved: ClassVar[str] = "A-Za-z0-9+/="
    chunk: int | None = 64  # BERT's tokenizers turn a word of more than 100 characters into [UNK]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.chunk is not None:
            check_count("chunk", self.chunk)
        if (self.high or 0) > 255:
            raise BadConfig(f"encoding.high={self.high} is more than a byte holds: base64 takes 0 to 255")

    def _write(self, levels: list[float]) -> str:
        letters = base64.b64encode(bytes(int(level) for level in levels)).decode("ascii")
        step = self.chunk or len(letters)
        return " ".join(letters[start : start + step] for start in range(0, len(letters), step))

    def _read(self, text: str) -> Sequence[float]:
        letters = "".join(text.split())
        if not re.fullmatch(r"[A-Za-z0-9+/]*={0,2}", letters):
            return []
        bare = letters.rstrip("=")
        whole = bare[: len(bare) - (len(bare) % 4 == 1)]  # one letter alone is less than a byte
        return self._inside([float(byte) for byte in base64.b64decode(whole + "=" * (-len(whole) % 4))])

    def _gap(self) -> str:
        return " " if self.chunk else ""


@dataclass(frozen=True, kw_only=True)
class Base64Rows(Rows, Base64Flat):
    """Base64 of each row: `ABA= | BAg=`."""
