"""A method meets a network: what is trained is chosen, wrapped and checked against the promise."""

from __future__ import annotations

import re

import torch
from torch import nn

from tunesweep.config import RunConfig
from tunesweep.errors import BadConfig, IntegrityError
from tunesweep.methods import bottleneck, options, peft_model
from tunesweep.models.readouts import Readout


def attach(network: Readout, config: RunConfig) -> None:
    """Change a network in place so that exactly what the method promises is trained, in 32 bits."""
    method = config.method
    if method.peft is not None:
        peft_model.wrap(network, config)
    if method.layers is not None:
        bottleneck.insert(network.body, options.read(method.layers))
    if method.peft is None:
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(promised(name, config))
    for parameter in network.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    check_trainable(network, config)
    if method.trains and not method.full and not parameter_counts(network, config)["adapter"]:
        raise BadConfig(
            f"method.trains={method.trains} matches no parameter of model={config.model.name}: "
            "use method=head_only, or name parameters that it has"
        )


def promised(name: str, config: RunConfig) -> bool:
    """Whether a method trains the parameter of this name: what its YAML matches, and the head."""
    method = config.method
    if not method.trained:
        return False
    return is_head(name, config) or (method.trains is not None and re.search(method.trains, name) is not None)


def is_head(name: str, config: RunConfig) -> bool:
    """Whether a parameter belongs to the classification head; PEFT's frozen copy of it does not."""
    if name.startswith("head."):
        return True
    if config.readout.name != "head" or ".original_module." in name:
        return False
    # Virtual tokens stand beside the model, layers in it: PEFT's wrapper adds one name or two.
    return any(
        re.match(rf"body\.(base_model\.(model\.)?)?{re.escape(head)}\.", name)
        for head in peft_model.heads(config)
    )


def check_trainable(network: nn.Module, config: RunConfig) -> None:
    """Fail when what is trainable is not what was promised (R10)."""
    names = [name for name, _ in network.named_parameters()]
    wanted = {name for name in names if promised(name, config)}
    found = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    if wanted != found or bool(found) != config.method.trained:
        odd = sorted(wanted ^ found)
        raise IntegrityError(
            f"method={config.method.name} promises {len(wanted)} trainable tensors and has {len(found)}; "
            f"the first that differs is {odd[0] if odd else 'none'}: let method.trains, now "
            f"{config.method.trains}, match the names of what is trained and no other"
        )


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
