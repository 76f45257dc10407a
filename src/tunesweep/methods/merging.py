"""An adapter becomes part of the base's own weights, in bf16 (R13)."""

from __future__ import annotations

import torch
from torch import nn

from tunesweep.errors import BadConfig
from tunesweep.methods import virtual
from tunesweep.methods.bottleneck import adapted
from tunesweep.models.backbone import four_bit_layers
from tunesweep.models.readouts import Readout


def merged(network: Readout) -> Readout:
    """Merge the adapter into the base and cast all weights to bf16, in place; return the network.

    Sums are taken in 32 bits and rounded once. A network without an adapter is cast alone. The base
    must not be quantised: rounding to 4 bits again would undo most of the training.
    """
    if four_bit_layers(network):
        raise BadConfig(
            "an adapter is not merged into 4-bit weights, which would undo most of its training: "
            "build the network with method.quantisation=null, load the artefact, and merge that"
        )
    absorb(network)
    # Parameters alone: rotary frequencies and other buffers need their 32 bits.
    for parameter in network.parameters():
        parameter.data = parameter.data.to(torch.bfloat16)
    return network


def absorb(network: Readout) -> None:
    """Make the adapter part of the base's weights, and its head the base's own, in place.

    Layers that an adapter changed are in 32 bits afterwards, all others as they were.
    """
    _refuse_separate(network)
    if not hasattr(network.body, "merge_and_unload"):
        return
    for layer in _adapted_base_layers(network.body):
        layer.float()
    _unwrap_heads(network.body)
    network.body = network.body.merge_and_unload(safe_merge=True)  # type: ignore[operator]


def _unwrap_heads(body: nn.Module) -> None:
    """Put trained heads in their places; PEFT does it too, but not for all methods where they have parts."""
    from peft.utils import ModulesToSaveWrapper

    heads = {name: m for name, m in body.named_modules() if isinstance(m, ModulesToSaveWrapper)}
    for name, head in heads.items():
        owner, _, own = name.rpartition(".")
        setattr(body.get_submodule(owner), own, head.modules_to_save[head.active_adapter])


def _refuse_separate(network: Readout) -> None:
    """Refuse what cannot become part of a linear layer's weights."""
    if virtual.count(network.body):
        kind = "virtual tokens"
    elif adapted(network):
        kind = "bottleneck layers"
    else:
        return
    raise BadConfig(
        f"{kind} cannot be merged into the base's weights: keep the adapter beside the base, or use a "
        "method that merges, such as method=lora"
    )


def _adapted_base_layers(body: nn.Module) -> list[nn.Module]:
    return [module for name, module in body.named_modules() if name.endswith(".base_layer")]
