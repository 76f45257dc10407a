"""What a parameter was called before a method wrapped its network."""

from __future__ import annotations

from torch import nn

from tunesweep.methods import virtual
from tunesweep.models.readouts import Readout


def bare(name: str, network: nn.Module) -> str:
    """Return the name in the bare network; of what a method added, a name that it never had."""
    body = network.body if isinstance(network, Readout) else network
    # PEFT wraps twice where it changes layers, once where it puts virtual tokens before the text.
    wrapper = "base_model." if virtual.count(body) else "base_model.model."
    for part in (wrapper, ".base_layer", ".original_module"):
        name = name.replace(part, "", 1 if part == wrapper else -1)
    return name
