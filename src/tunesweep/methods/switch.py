"""An adapter switched off: the base as it was, to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn

from tunesweep.errors import BadConfig
from tunesweep.methods import virtual
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
            stack.enter_context(_base_alone(network.body))
            stack.enter_context(_own_heads(network.body))
        stack.enter_context(_bypassed(layers))
        yield


@contextmanager
def _base_alone(body: Any) -> Iterator[None]:
    """Do what PEFT's `disable_adapter` does; with virtual tokens it fails on models that cannot write."""
    if not virtual.count(body):
        with body.disable_adapter():
            yield
        return
    body.forward = body.base_model.forward
    try:
        yield
    finally:
        del body.forward  # the class's own again


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
