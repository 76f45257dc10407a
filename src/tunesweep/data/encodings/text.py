"""Encodings of what is text already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tunesweep.data.encodings import Modality
from tunesweep.data.encodings.checks import check_count, check_text


@dataclass(frozen=True, kw_only=True)
class Text:
    """One text, as it is."""

    modality: ClassVar[Modality] = "text"
    name: str = "text"
    max_length: int = 128

    def __post_init__(self) -> None:
        check_text("name", self.name)
        check_count("max_length", self.max_length)

    def encode(self, example: str) -> str:
        """Return the text itself."""
        return example


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two texts: left to the tokenizer to join, or joined here for one that has no separator token."""

    modality: ClassVar[Modality] = "text"
    name: str = "pair"
    max_length: int = 128
    joiner: str | None = None

    def __post_init__(self) -> None:
        check_text("name", self.name)
        check_count("max_length", self.max_length)
        if self.joiner is not None:
            check_text("joiner", self.joiner)

    def encode(self, example: tuple[str, str]) -> str | tuple[str, str]:
        """Return both texts, joined when there is a joiner."""
        first, second = example
        return (first, second) if self.joiner is None else f"{first}{self.joiner}{second}"
