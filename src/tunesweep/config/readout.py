"""The group `readout`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from tunesweep.config.checks import positive
from tunesweep.errors import BadConfig, require

PROMPTED = ("label_words", "generate")  # readouts of the language-model head, which see `prompt`


@dataclass
class ReadoutConfig:
    """How an answer is read off the model."""

    name: str = MISSING  # as its file
    pooling: str = "auto"  # linear: cls, last, mean; auto: the model's own
    words: dict[str, Any] = field(default_factory=dict)  # class -> its word, or a list of them; else its name
    prompt: str = "{text}\nAnswer:"  # what the model reads; {text}, and {text_pair}, stand for the example
    chat: bool = False  # put the prompt into the tokenizer's chat template
    normalise: str = "sum"  # label_words: sum or mean of the log-probabilities of a word's tokens
    calibration: str | None = None  # label_words: contextual (arXiv:2102.09690), pmi (arXiv:2104.08315)
    constrain: bool = False  # generate: only the classes' words can be written
    max_new_tokens: int = 16  # generate: longest answer

    @property
    def prompted(self) -> bool:
        """Whether the language-model head answers a prompt."""
        return self.name in PROMPTED

    def __post_init__(self) -> None:
        require(self.pooling, ("auto", "cls", "last", "mean"), "readout.pooling")
        require(self.normalise, ("sum", "mean"), "readout.normalise")
        require(self.calibration, (None, "contextual", "pmi"), "readout.calibration")
        positive("readout", max_new_tokens=self.max_new_tokens)
        if "{text}" not in self.prompt:
            raise BadConfig(f"readout.prompt={self.prompt!r} must contain {{text}}")
