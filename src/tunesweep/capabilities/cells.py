"""The axes of the capability matrix, and what a method is on them: its traits, never its name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

from tunesweep.config import FAMILIES, MethodConfig

READOUTS = ("head", "linear", "label_words", "generate")
QUANTISATIONS = ("none", "nf4")
CHECKPOINTING = ("off", "on")
AXES = {
    "family": FAMILIES,
    "quantisation": QUANTISATIONS,
    "checkpointing": CHECKPOINTING,
    "readout": READOUTS,
}

# Classes of PEFT whose virtual tokens are keys and values, beside the input instead of in it.
PAST = ("peft.PrefixTuningConfig", "peft.CartridgeConfig")
_ANY = {
    "encoder": "an encoder",
    "decoder": "a decoder",
    "encoder_decoder": "an encoder-decoder",
    "vision": "a reference model",
}


def traits(method: MethodConfig) -> frozenset[str]:
    """Return what matters of a method, read from its YAML.

    `untrained`; `every_weight`, `base_weights`, `biases` (of the base's own, what is trained);
    `head_alone`; `adapter` (weights beside the base's: `peft`, `layers`); `virtual_tokens`; `past`.
    """
    if not method.trained:
        return frozenset({"untrained"})
    if method.peft is None and method.layers is None:
        return frozenset(_of_the_base(method))
    found = {"adapter", "peft" if method.peft is not None else "layers"}
    spec = method.peft or {}
    found |= {"virtual_tokens"} if "num_virtual_tokens" in spec else set()
    found |= {"past", "virtual_tokens"} if spec.get("_target_") in PAST else set()
    return frozenset(found)


def _of_the_base(method: MethodConfig) -> Iterator[str]:
    if method.trains is None:
        yield "head_alone"
        return
    yield "base_weights"
    if method.full:
        yield "every_weight"
    elif re.search(method.trains, "layer.bias") and not re.search(method.trains, "layer.weight"):
        yield "biases"


@dataclass(frozen=True)
class Cell:
    """One combination: of a method with kinds of model, or with the model of a point."""

    method: str
    traits: frozenset[str]
    family: str
    quantisation: str = "none"
    checkpointing: str = "off"
    readout: str = "head"
    model: str = ""  # of a point
    model_traits: frozenset[str] = field(default=frozenset())  # started (from a run), no_past

    @property
    def id(self) -> str:
        """Return a name that no other cell has."""
        parts = (self.method, self.family, self.quantisation, f"checkpointing_{self.checkpointing}")
        return "-".join((*parts, self.readout, *sorted(self.model_traits)))

    def facts(self) -> dict[str, frozenset[str]]:
        """Return what holds of this cell, by the keys of a rule."""
        single = {key: frozenset({getattr(self, key)}) for key in AXES}
        return single | {"method": self.traits, "model": self.model_traits}

    def words(self) -> dict[str, str]:
        """Return what a rule's sentences may speak of."""
        model = f"model={self.model}" if self.model else _ANY[self.family]
        return {"method": f"method={self.method}", "readout": f"readout={self.readout}", "model": model}


def cells(methods: Mapping[str, MethodConfig]) -> Iterator[Cell]:
    """Yield the whole matrix: every method with every family, quantisation, checkpointing and readout."""
    for name, method in methods.items():
        yield from cells_of(name, method)


def cells_of(name: str, method: MethodConfig) -> Iterator[Cell]:
    """Yield one method's part of the matrix."""
    for family, quantisation, checkpointing, readout in product(*AXES.values()):
        yield Cell(name, traits(method), family, quantisation, checkpointing, readout)
