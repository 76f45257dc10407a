"""What a new YAML says of a method of PEFT that it is named after."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import Any

RANKS = {"r": "${lora.r}", "alpha": "${lora.alpha}", "lora_alpha": "${lora.alpha}"}
LAYERS = {"target_modules": "${lora.target_modules}"}
HEAD = "modules_to_save"  # how PEFT is told of the head that is trained beside


@dataclass(frozen=True)
class PeftMethod:
    """A config of PEFT, the names of the parameters that it adds, and its arguments that follow `lora`."""

    config: str  # class
    trains: str
    arguments: dict[str, str]

    @property
    def yaml(self) -> str:
        """Return the arguments as lines below `peft:`."""
        return "\n".join(f"  {key}: {value}" for key, value in self.arguments.items())


# What stands in a YAML of another name, to be replaced (arXiv:2108.06098).
EXAMPLE = PeftMethod("LoHaConfig", "hada_", {"r": RANKS["r"], "alpha": RANKS["alpha"]} | LAYERS)


def named(name: str) -> PeftMethod | None:
    """Return the method of PEFT that is called so, if it adapts layers by name; `_` does not count."""
    return _methods().get(name.replace("_", ""))


def names() -> list[str]:
    """Return what PEFT calls its methods that adapt layers by name, in small letters and without `_`."""
    return sorted(_methods())


@cache
def _methods() -> dict[str, PeftMethod]:
    from tunesweep.silence import quiet_libraries

    with quiet_libraries():
        from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_PREFIX_MAPPING

    found = {}
    for kind, config in PEFT_TYPE_TO_CONFIG_MAPPING.items():
        known = {field.name for field in fields(config)}
        if {*LAYERS, HEAD} <= known:
            method = PeftMethod(config.__name__, PEFT_TYPE_TO_PREFIX_MAPPING[kind], _arguments(config, known))
            found[kind.value.lower().replace("_", "")] = method
    return found


def _arguments(config: Any, known: set[str]) -> dict[str, str]:
    """Return what follows `lora`: not the rank where another default excludes it, as in OFT."""
    ranks = {key: value for key, value in RANKS.items() if key in known}
    try:
        config(target_modules=["query"], **dict.fromkeys(ranks, 8))
    except ValueError:
        ranks = {}
    return ranks | LAYERS
