"""PEFT around a network: task type, head and layers as the readout and the model's family want them."""

from __future__ import annotations

from typing import Any

from torch import nn

from tunesweep.build import build
from tunesweep.config import RunConfig
from tunesweep.errors import BadConfig, suggest
from tunesweep.methods import virtual
from tunesweep.models.readouts import Readout

# What PEFT's model class is chosen by; a readout that is not here is the language-model head.
TASK_TYPES = {"head": "SEQ_CLS", "linear": "FEATURE_EXTRACTION"}
LANGUAGE_TASK_TYPES = {"decoder": "CAUSAL_LM", "encoder_decoder": "SEQ_2_SEQ_LM"}
RANKS = ("r", "init_r")


def wrap(network: Readout, config: RunConfig) -> None:
    """Put PEFT's model around the body, in place; the head is trained and saved with it."""
    from peft import get_peft_model

    spec = config.method.peft
    assert spec is not None
    peft_config = build_peft(spec, _arguments(config))
    _check_targets(network.body, config, peft_config)
    try:
        network.body = get_peft_model(network.body, peft_config)
    except ValueError as error:
        raise BadConfig(f"method.peft={spec} on model={config.model.name}: {error}") from error
    virtual.settle(network.body)


def task_type(config: RunConfig) -> str | None:
    """Return PEFT's name of the task; None where it has no class of its own, which needs none for layers."""
    family, readout = config.model.family, config.readout.name
    if family == "vision":
        return None
    return TASK_TYPES.get(readout) or LANGUAGE_TASK_TYPES.get(family)


def _arguments(config: RunConfig) -> dict[str, Any]:
    arguments: dict[str, Any] = {"task_type": task_type(config)}
    if config.readout.name == "head" and (new := heads(config)):
        arguments["modules_to_save"] = new  # by name: PEFT guesses some, and misses others
    return arguments


def heads(config: RunConfig) -> list[str]:
    """Return the modules of the head that are trained whole.

    Where a run has trained the head already, an adapter that names it adapts it like any other layer.
    """
    adapted = (config.method.peft or {}).get("target_modules") or ()
    named = adapted if config.model.init_from and not isinstance(adapted, str) else ()
    return [name for name in config.model.head if name not in named]


def build_peft(spec: dict[str, Any], arguments: dict[str, Any]) -> Any:
    """Build a PEFT config; what PEFT refuses is an error of the configuration."""
    try:
        return build(spec, **arguments)
    except (TypeError, ValueError) as error:
        raise BadConfig(f"method.peft={spec}: {error}") from error


def _check_targets(body: nn.Module, config: RunConfig, peft_config: Any) -> None:
    """Refuse names that match nothing (PEFT accepts some of several) and ranks above a layer's size."""
    targets = getattr(peft_config, "target_modules", None) or ()
    if isinstance(targets, str):  # PEFT's own words, such as all-linear, and patterns are PEFT's to check
        return
    modules = dict(body.named_modules())
    for target in sorted(targets):
        matches = [m for name, m in modules.items() if name == target or name.endswith(f".{target}")]
        if not matches:
            linear = sorted({n.split(".")[-1] for n, m in modules.items() if isinstance(m, nn.Linear)})
            options = suggest(target, linear)
            raise BadConfig(f"lora.target_modules names '{target}', which the model does not have: {options}")
        if config.runtime.point.uses_lora:  # other ranks are another thing: VeRA's are wider than its layers
            _check_rank(config, target, matches)


def _check_rank(config: RunConfig, target: str, layers: list[nn.Module]) -> None:
    spec = config.method.peft or {}
    rank = max((spec[key] for key in RANKS if key in spec), default=0)
    widths = [min(m.in_features, m.out_features) for m in layers if isinstance(m, nn.Linear)]
    if widths and rank > min(widths):
        start = "" if rank == config.lora.r else f" (method={config.method.name} starts with {rank})"
        raise BadConfig(
            f"lora.r={config.lora.r}{start} is larger than layer '{target}': at most {min(widths)}"
        )
