"""The groups `method` and `lora`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import II, MISSING

from tunesweep.config.checks import fraction, positive
from tunesweep.errors import BadConfig, require


@dataclass
class Budget:
    """Default rate, epochs and warm-up, and where the numbers come from."""

    lr: float = MISSING  # learning rate
    epochs: int = MISSING  # passes over the train split
    warmup: float = MISSING  # share of all steps
    source: str = MISSING  # where the numbers come from


@dataclass
class Shots:
    """Solved examples in the prompt, taken from the train split."""

    k: int = 0  # in all, as evenly over the classes as can be; or of each class
    per_class: bool = False  # k of each class
    by: str = "seed"  # seed: the same for all inputs; similarity: those most like each input (TF-IDF)

    def __post_init__(self) -> None:
        if self.k < 0:
            raise BadConfig(f"method.shots.k={self.k} must not be negative")
        require(self.by, ("seed", "similarity"), "method.shots.by")
        if self.per_class and self.by == "similarity":
            raise BadConfig(
                "method.shots.per_class=true takes as many of each class, and method.shots.by=similarity "
                "those most like each input, whatever their class: leave one out"
            )


@dataclass
class MethodConfig:
    """How much of a model is trained, and how."""

    name: str = MISSING  # as its file
    trained: bool = True  # false: the model is prompted as it is
    trains: str | None = None  # regex of parameter names; the head is always trained
    quantisation: str | None = None  # nf4
    peft: dict[str, Any] | None = None  # `_target_` of a PEFT config, and its arguments
    layers: dict[str, Any] | None = None  # `kind` of layers of ours in the model, and their options
    hook: str | None = None  # what is called after each optimiser step: a function of methods/hooks.py
    merges: bool = False  # whether the adapter can become part of the base's own weights
    shots: Shots = field(default_factory=Shots)
    budget: Budget = field(default_factory=Budget)

    @property
    def full(self) -> bool:
        """Whether every weight is trained."""
        return self.trains == ".*"

    def __post_init__(self) -> None:
        require(self.quantisation, (None, "nf4"), "method.quantisation")
        if self.peft is not None and self.layers is not None:
            raise BadConfig("method.peft and method.layers exclude each other: drop one of them")


@dataclass
class LoraConfig:
    """Rank and scale, for the methods whose YAML refers to `${lora...}`."""

    r: int = 8  # rank
    alpha: int = II("double:${lora.r}")  # the update is scaled by alpha / r
    dropout: float = 0.0  # of what goes into the update
    rslora: bool = False  # rank-stabilised: scaled by alpha / sqrt(r) (arXiv:2312.03732)
    targets: str = "query_value"  # which layers: a name of `model.target_modules`
    target_modules: list[str] = II("model.target_modules.${lora.targets}")  # the layers themselves

    def __post_init__(self) -> None:
        positive("lora", r=self.r, alpha=self.alpha)
        fraction("lora", dropout=self.dropout)
