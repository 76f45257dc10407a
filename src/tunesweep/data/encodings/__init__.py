"""How an example becomes text, before any tokenizer sees it: one frozen dataclass per encoding."""

from __future__ import annotations

from typing import Any, Literal, Protocol

Modality = Literal["text", "image"]


class Encoding(Protocol):
    """What the data layer needs of an encoding; adding one takes such a class and a YAML."""

    @property
    def name(self) -> str:
        """Name of the encoding: its YAML, its column, its option on the command line."""

    @property
    def modality(self) -> Modality:
        """What it reads: a text (or two), or an image."""

    @property
    def max_length(self) -> int:
        """Longest input in tokens; the rest is cut off."""

    def encode(self, example: Any) -> str | tuple[str, str]:
        """Return the text of one example, or two texts for the tokenizer to join."""
