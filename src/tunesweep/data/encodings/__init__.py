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

    @property
    def cut(self) -> str:
        """What is cut off: see `tunesweep.data.cutting.fit`."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the texts of an example, in order."""

    @property
    def template(self) -> str:
        """How the fields stand in one text: "{text}"."""

    @property
    def joined(self) -> bool:
        """Whether the template joins the fields also where no prompt is read; else the tokenizer does."""

    def encode(self, example: Any) -> str | tuple[str, ...]:
        """Return the text of one example, or its texts in the order of `fields`."""
