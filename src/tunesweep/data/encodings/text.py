"""Encodings of what is text already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tunesweep.data.encodings import Modality
from tunesweep.data.encodings.checks import (
    check_count,
    check_cut,
    check_fields,
    check_flag,
    check_template,
    check_text,
)
from tunesweep.errors import BadConfig


@dataclass(frozen=True, kw_only=True)
class _OfText:
    """What all of them have: a name, and what stays of a text that is too long."""

    modality: ClassVar[Modality] = "text"
    fields: ClassVar[tuple[str, ...]] = ("text",)
    required: ClassVar[int] = 1  # so many of the fields must be given
    running: ClassVar[bool] = False  # whether it reads one running text, not rows

    name: str
    max_length: int = 128

    def __post_init__(self) -> None:
        check_text("name", self.name)
        check_count("max_length", self.max_length)


@dataclass(frozen=True, kw_only=True)
class Text(_OfText):
    """One text, as it is."""

    template: ClassVar[str] = "{text}"
    joined: ClassVar[bool] = False
    name: str = "text"
    cut: str = "tail"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_cut(self.cut)

    def encode(self, example: str) -> str:
        """Return the text itself."""
        check_fields(self.name, example, self.fields, "use encoding=pair or preference")
        return example


@dataclass(frozen=True, kw_only=True)
class Pair(_OfText):
    """Two texts: left to the tokenizer to join, or joined by a text for one that has no separator token."""

    fields: ClassVar[tuple[str, ...]] = ("text", "text_pair")
    required: ClassVar[int] = 2
    name: str = "pair"
    joiner: str | None = None
    cut: str = "tail"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_cut(self.cut)
        if self.joiner is not None:
            check_text("joiner", self.joiner)

    @property
    def template(self) -> str:
        """Return both texts with the joiner between them, or on a line each where a prompt is read."""
        return "{text}" + (self.joiner or "\n") + "{text_pair}"

    @property
    def joined(self) -> bool:
        """Whether there is a joiner."""
        return self.joiner is not None

    def encode(self, example: tuple[str, ...]) -> tuple[str, ...]:
        """Return both texts."""
        check_fields(self.name, example, self.fields, "set dataset.text_pair=COLUMN")
        return example


@dataclass(frozen=True, kw_only=True)
class Instruction(_OfText):
    """What is to be done, and what it is to be done with, if anything."""

    fields: ClassVar[tuple[str, ...]] = ("text", "text_pair")
    joined: ClassVar[bool] = True
    name: str = "instruction"
    max_length: int = 512
    max_answer: int = 128
    template: str = "{text}{text_pair}\n\nAnswer:"
    joiner: str = "\n\n"
    chat: bool = False
    cut: str = "tail"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_cut(self.cut)
        check_count("max_answer", self.max_answer)
        check_template(self.template, self.fields)
        check_text("joiner", self.joiner)
        check_flag("chat", self.chat)

    def encode(self, example: str | tuple[str, ...]) -> tuple[str, ...]:
        """Return both texts; the joiner is part of the second, so that an absent one leaves no trace."""
        both = (example, "") if isinstance(example, str) else example
        check_fields(self.name, both, self.fields, "use encoding=preference")
        text, second = both
        return text, self.joiner + second if second.strip() else ""


@dataclass(frozen=True, kw_only=True)
class Preference(_OfText):
    """A prompt and two answers to it, of which one is preferred."""

    fields: ClassVar[tuple[str, ...]] = ("prompt", "response_a", "response_b")
    required: ClassVar[int] = 3
    joined: ClassVar[bool] = True
    name: str = "preference"
    max_length: int = 512
    template: str = "Prompt: {prompt}\n\nResponse A: {response_a}\n\nResponse B: {response_b}"
    cut: str = "fields"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_cut(self.cut)
        check_template(self.template, self.fields)

    def encode(self, example: tuple[str, ...]) -> tuple[str, ...]:
        """Return the three texts."""
        check_fields(self.name, example, self.fields, "set dataset.responses=[A,B]")
        return example


@dataclass(frozen=True, kw_only=True)
class Blocks(_OfText):
    """Running text in blocks of one length: nothing is cut off."""

    running: ClassVar[bool] = True
    template: ClassVar[str] = "{text}"
    joined: ClassVar[bool] = False
    cut: ClassVar[str] = "tail"
    name: str = "blocks"
    max_length: int = 512
    stride: int | None = None
    joiner: str = "\n"
    bos: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stride is not None:
            check_count("stride", self.stride)
            if self.stride > self.max_length:
                raise BadConfig(
                    f"encoding.stride={self.stride} would skip tokens: at most max_length={self.max_length}"
                )
        check_text("joiner", self.joiner, empty=True)
        check_flag("bos", self.bos)

    def encode(self, example: str) -> str:
        """Return a document as it is."""
        return example
