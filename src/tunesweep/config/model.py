"""The group `model`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from tunesweep.config.method import Budget
from tunesweep.errors import BadConfig, require

FAMILIES = ("encoder", "decoder", "encoder_decoder", "vision")
RANDOM = "random"  # as `model.source`: weights are drawn, not read


@dataclass
class ModelConfig:
    """A backbone, and where its weights come from."""

    name: str = MISSING  # as its file
    family: str = MISSING  # encoder, decoder, encoder_decoder, vision
    source: str = MISSING  # hub id, local folder, `package:NAME/FOLDER`, `builtin:ARCHITECTURE` or `random`
    revision: str | None = None  # of a hub id
    file: str | None = None  # a GGUF file in the source, converted once
    architecture: dict[str, Any] = field(default_factory=dict)  # of `random`: model_type and sizes
    tokenizer: str | None = None  # where the tokenizer lies, if not with the weights; like source
    init_from: str | None = None  # a run, or the label of a block of the same experiment, to start from
    dtype: str = "float32"  # what a frozen base is held in under bf16 training
    head: list[str] = field(default_factory=lambda: ["classifier"])  # modules that no checkpoint carries
    target_modules: dict[str, list[str]] = field(
        default_factory=dict
    )  # names of the layers that `lora.targets` chooses from
    width: int | None = None  # narrowest layer an adapter may sit on; used where no config.json is at hand
    max_length: int | None = None  # longest input in tokens; null: no limit known
    pad: str | None = None  # PAD token; null picks one that is not the end-of-text token
    end: str | None = None  # token that ends an answer, where the tokenizer has no end-of-text token
    past_key_values: bool = True  # whether its attention takes keys and values beforehand, as of a prefix
    pooling: str = "cls"  # what `readout.pooling=auto` means
    hidden: list[int] = field(default_factory=list)  # layer widths of a built-in reference model
    trust_remote_code: bool = False  # run code that comes with the weights
    budget: Budget | None = None  # of a model that begins at random: stands in for the method's own

    @property
    def random(self) -> bool:
        """Whether this is a small random language model, a stand-in for weights that are not to be had."""
        return self.source == RANDOM

    def __post_init__(self) -> None:
        require(self.family, FAMILIES, "model.family")
        require(self.dtype, ("float32", "bfloat16"), "model.dtype")
        require(self.pooling, ("cls", "last", "mean"), "model.pooling")
        if self.random and not (self.architecture.get("model_type") and self.tokenizer):
            raise BadConfig(
                "model.source=random needs model.architecture with a model_type such as t5, "
                "and model.tokenizer"
            )
