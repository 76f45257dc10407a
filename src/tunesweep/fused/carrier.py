"""The network that all examples of a step go through: shared layers once, changed ones run by run."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from torch import nn

from tunesweep.fused.layout import Layout
from tunesweep.fused.slices import LinearSlices, Slices, one_product
from tunesweep.models.readouts import Readout


def carrier(frame: Readout, networks: Sequence[Readout], layout: Layout) -> Readout:
    """Return a twin of a bare network, with every layer that some of the networks changed put in slices."""
    found = twin(frame)
    found.read_rows_whole()  # one row cannot stand for those of several runs
    _join(found, [_as_bare(network) for network in networks], layout)
    for parameter in frame.parameters():
        parameter.requires_grad_(False)
    return found


def _as_bare(network: Readout) -> nn.Module:
    """Return a network's parts under the names that they had before a method wrapped the body."""
    body = network.body
    inner = body.get_base_model() if hasattr(body, "get_base_model") else body  # type: ignore[operator]
    return nn.ModuleDict({"body": inner} | ({} if network.head is None else {"head": network.head}))


def _join(frame: nn.Module, others: Sequence[nn.Module], layout: Layout) -> None:
    for name, child in list(frame.named_children()):
        versions = [other.get_submodule(name) for other in others]
        if _changed(child, versions):
            kind = LinearSlices if one_product(versions) else Slices
            setattr(frame, name, kind(versions, layout))
        else:
            _join(child, versions, layout)


def _changed(layer: nn.Module, versions: Sequence[nn.Module]) -> bool:
    """Whether a layer itself, apart from the layers in it, is not the same everywhere."""
    own = layer._parameters
    return any(
        type(version) is not type(layer) or any(version._parameters[key] is not own[key] for key in own)
        for version in versions
    )


def twin(network: Readout) -> Readout:
    """Return a copy of a network's modules around the same parameters and buffers."""
    memo: dict[int, Any] = {}
    for tensor in (*network.parameters(), *network.buffers()):
        memo[id(tensor)] = tensor
        if (state := getattr(tensor, "quant_state", None)) is not None:  # of a 4-bit tensor
            memo[id(state)] = state
    return copy.deepcopy(network, memo)
