"""Bottleneck adapters: small layers of our own behind frozen ones (arXiv:1902.00751, arXiv:2005.00247)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from tunesweep.errors import BadConfig
from tunesweep.methods.options import Bottleneck

SPREAD = 1e-2  # of the new weights: nearly the identity at first (arXiv:1902.00751, section 3.6)
ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh}


class Adapter(nn.Module):
    """Down, activation, up; held in 32 bits."""

    def __init__(self, outer: int, inner: int, activation: str) -> None:
        super().__init__()
        self.down = nn.Linear(outer, inner)
        self.activation = ACTIVATIONS[activation]()
        self.up = nn.Linear(inner, outer)
        for layer in (self.down, self.up):
            nn.init.normal_(layer.weight, std=SPREAD)
            nn.init.zeros_(layer.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return what is to be added to hidden [..., outer]."""
        change: Tensor = self.up(self.activation(self.down(hidden.to(self.down.weight.dtype))))
        return change.to(hidden.dtype)


class Adapted(nn.Module):
    """A frozen layer with an adapter behind it, which can be switched off."""

    def __init__(self, base_layer: nn.Module, bottleneck: Adapter) -> None:
        super().__init__()
        self.base_layer, self.bottleneck = base_layer, bottleneck
        self.active = True

    @property
    def weight(self) -> Tensor:
        """The frozen layer's: some architectures look at its dtype."""
        weight: Tensor = self.base_layer.weight  # type: ignore[assignment]
        return weight

    def forward(self, *arguments: Tensor) -> Tensor:
        """Return the layer's output, adapted."""
        hidden: Tensor = self.base_layer(*arguments)
        return hidden + self.bottleneck(hidden) if self.active else hidden


def insert(body: nn.Module, options: Bottleneck) -> None:
    """Put an adapter behind every layer that the options name, in place."""
    places = dict(_places(body, options))
    for name, layer in places.items():
        owner, _, own = name.rpartition(".")
        width = int(layer.out_features)  # type: ignore[arg-type]
        inner = options.width or max(1, round(width / options.reduction))
        adapter = Adapter(width, inner, options.activation).to(_device(layer))
        setattr(body.get_submodule(owner), own, Adapted(layer, adapter))


def adapted(network: nn.Module) -> list[Adapted]:
    """Return all layers with an adapter of ours."""
    return [module for module in network.modules() if isinstance(module, Adapted)]


def _places(body: nn.Module, options: Bottleneck) -> Iterator[tuple[str, nn.Module]]:
    for ending in options.places:
        found = [
            (name, module)
            for name, module in body.named_modules()
            if _ends(name, ending) and not any(_ends(name, other) for other in options.others)
        ]
        if not found:
            raise BadConfig(
                f"method.layers names '{ending}', which the model does not have: correct "
                "model.target_modules.attention_output and feedforward_output"
            )
        yield from found


def _ends(name: str, ending: str) -> bool:
    return name == ending or name.endswith(f".{ending}")


def _device(layer: nn.Module) -> torch.device:
    return next(layer.parameters()).device
