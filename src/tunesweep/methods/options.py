"""Options of layers of ours, `method.layers`: checked in planning, long before torch is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from tunesweep.config.checks import positive
from tunesweep.errors import BadConfig, require, suggest

PLACEMENTS = ("houlsby", "pfeiffer")
ACTIVATIONS = ("relu", "gelu", "silu", "tanh")


@dataclass(frozen=True)
class Bottleneck:
    """Adapter layers: down to a few dimensions, an activation, and up again."""

    placement: str = "pfeiffer"  # houlsby: behind attention and feed-forward; pfeiffer: behind the latter
    reduction: float = 16  # the layer's width over the adapter's
    width: int | None = None  # the adapter's width itself; stands in for `reduction`
    activation: str = "relu"
    after_attention: list[str] = field(default_factory=list)  # names of layers, as they end
    after_feedforward: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        require(self.placement, PLACEMENTS, "method.layers.placement")
        require(self.activation, ACTIVATIONS, "method.layers.activation")
        positive("method.layers", reduction=self.reduction, width=self.width)

    @property
    def places(self) -> list[str]:
        """Return the names of the layers behind which an adapter stands."""
        both = self.placement == "houlsby"
        return [*(self.after_attention if both else ()), *self.after_feedforward]

    @property
    def others(self) -> list[str]:
        """Return names that are none of the places, though they may end like one."""
        return [name for name in self.after_attention if name not in self.places]


def read(layers: Mapping[str, Any]) -> Bottleneck:
    """Return the options of `method.layers`; refuse kinds and keys that do not exist."""
    require(layers.get("kind"), KINDS, "method.layers.kind")
    kind = KINDS[str(layers["kind"])]
    known = [item.name for item in fields(kind)]
    for key in layers:
        if key != "kind" and key not in known:
            raise BadConfig(f"method.layers.{key} is not an option: it takes {suggest(key, known)}")
    return kind(**{str(key): value for key, value in layers.items() if key != "kind"})


KINDS = {"bottleneck": Bottleneck}
