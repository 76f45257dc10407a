"""An adapter switched off: the base as it was, to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from torch import nn

from tunesweep.errors import BadConfig
from tunesweep.methods.bottleneck import Adapted, adapted
from tunesweep.models.readouts import Readout


@contextmanager
def off(network: Readout) -> Iterator[None]:
    """Run the base alone within this context, with the head that it had; a head of ours is as it is."""
    layers, has_peft = adapted(network), hasattr(network.body, "disable_adapter")
    if not layers and not has_peft:
        raise BadConfig(
            "this network has no adapter to switch off: its method changes the base's own weights; use "
            "one that adds to them, such as method=lora"
        )
    with ExitStack() as stack:
        if has_peft:
            stack.enter_context(network.body.disable_adapter())  # type: ignore[operator]
            stack.enter_context(_own_heads(network.body))
        stack.enter_context(_bypassed(layers))
        yield


@contextmanager
def _bypassed(layers: list[Adapted]) -> Iterator[None]:
    for layer in layers:
        layer.active = False
    try:
        yield
    finally:
        for layer in layers:
            layer.active = True


@contextmanager
def _own_heads(body: nn.Module) -> Iterator[None]:
    """Fall back to the base's own modules: with virtual tokens, PEFT goes on using the trained ones."""
    from peft.utils import ModulesToSaveWrapper

    heads = [m for m in body.modules() if isinstance(m, ModulesToSaveWrapper) and not m.disable_adapters]
    for head in heads:
        head.enable_adapters(False)
    try:
        yield
    finally:
        for head in heads:
            head.enable_adapters(True)
