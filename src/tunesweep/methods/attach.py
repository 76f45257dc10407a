"""A method meets a network: what is trained is chosen, wrapped and checked against the promise."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import nn

from tunesweep.build import build
from tunesweep.config import RunConfig
from tunesweep.errors import BadConfig, IntegrityError, suggest
from tunesweep.models.readouts import Readout

TASK_TYPES = {"head": "SEQ_CLS", "linear": "FEATURE_EXTRACTION", "label_words": "CAUSAL_LM"}


def attach(network: Readout, config: RunConfig) -> None:
    """Change a network in place so that exactly what the method promises is trained, in 32 bits."""
    if config.method.peft is None:
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(promised(name, config))
    else:
        _wrap(network, config)
    for parameter in network.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    check_trainable(network, config)
    if config.method.trains and not config.method.full and not parameter_counts(network, config)["adapter"]:
        raise BadConfig(
            f"method.trains={config.method.trains} matches no parameter of model={config.model.name}: "
            "use method=head_only, or name parameters that it has"
        )


def promised(name: str, config: RunConfig) -> bool:
    """Whether a method trains the parameter of this name: what its YAML matches, and the head."""
    trains = config.method.trains
    return is_head(name, config) or (trains is not None and re.search(trains, name) is not None)


def is_head(name: str, config: RunConfig) -> bool:
    """Whether a parameter belongs to the classification head; PEFT's frozen copy of it does not."""
    if name.startswith("head."):
        return True
    if config.readout.name != "head" or ".original_module." in name:
        return False
    return any(
        re.match(rf"body\.(base_model\.model\.)?{re.escape(head)}\.", name) for head in config.model.head
    )


def check_trainable(network: nn.Module, config: RunConfig) -> None:
    """Fail when what is trainable is not what was promised (R10)."""
    names = [name for name, _ in network.named_parameters()]
    wanted = {name for name in names if promised(name, config)}
    found = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    if wanted != found or not found:
        odd = sorted(wanted ^ found)
        raise IntegrityError(
            f"method={config.method.name} promises {len(wanted)} trainable tensors and has {len(found)}; "
            f"the first that differs is {odd[0] if odd else 'none'}: "
            f"correct method.trains={config.method.trains}"
        )


def _wrap(network: Readout, config: RunConfig) -> None:
    from peft import get_peft_model

    arguments: dict[str, Any] = {"task_type": TASK_TYPES[config.readout.name]}
    if config.readout.name == "head":
        # By name: PEFT guesses some, and misses others.
        arguments["modules_to_save"] = list(config.model.head)
    assert config.method.peft is not None
    peft_config = build_peft(config.method.peft, arguments)
    targets = peft_config.target_modules or ()
    if not isinstance(targets, str):  # PEFT's own words, such as all-linear, and patterns are PEFT's to check
        _check_targets(network.body, config, sorted(targets))
    network.body = get_peft_model(network.body, peft_config)


def build_peft(spec: dict[str, Any], arguments: dict[str, Any]) -> Any:
    """Build a PEFT config; what PEFT refuses is an error of the configuration."""
    try:
        return build(spec, **arguments)
    except (TypeError, ValueError) as error:
        raise BadConfig(f"method.peft={spec}: {error}") from error


def _check_targets(body: nn.Module, config: RunConfig, targets: list[str]) -> None:
    """Refuse names that match nothing (PEFT accepts some of several) and ranks above a layer's size."""
    rank = (config.method.peft or {}).get("r")
    modules = dict(body.named_modules())
    for target in targets:
        matches = [m for name, m in modules.items() if name == target or name.endswith(f".{target}")]
        if not matches:
            linear = sorted({n.split(".")[-1] for n, m in modules.items() if isinstance(m, nn.Linear)})
            options = suggest(target, linear)
            raise BadConfig(f"lora.target_modules names '{target}', which the model does not have: {options}")
        widths = [min(m.in_features, m.out_features) for m in matches if isinstance(m, nn.Linear)]
        if rank and widths and rank > min(widths):
            raise BadConfig(f"lora.r={rank} is larger than layer '{target}': at most {min(widths)}")


def parameter_counts(network: nn.Module, config: RunConfig) -> dict[str, int]:
    """Count parameters: all, and what is trained, adapter (or trained part of the base) and head apart."""
    counts = {"total": 0, "adapter": 0, "head": 0}
    for name, parameter in network.named_parameters():
        if ".original_module." in name:  # PEFT's untouched copy of the head
            continue
        counts["total"] += unpacked(parameter)
        if parameter.requires_grad:
            counts["head" if is_head(name, config) else "adapter"] += parameter.numel()
    return counts | {"trainable": counts["adapter"] + counts["head"]}


def unpacked(parameter: torch.Tensor) -> int:
    """Return the number of weights; a 4-bit tensor stores two in a byte."""
    state = getattr(parameter, "quant_state", None)
    return int(torch.Size(state.shape).numel()) if state is not None else parameter.numel()
