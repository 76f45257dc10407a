"""Layers by `torch.compile` while they are trained: one of a kind is compiled, and used for all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import torch
from torch import nn

from tunesweep.errors import BadConfig

COMPILERS = ("g++", "clang++")


@contextmanager
def compiled(network: nn.Module, wanted: bool) -> Iterator[None]:
    """Let a network's layers be compiled within, if wanted, for batches whose lengths change.

    Afterwards they are as they were: what is scored and checked is computed as by any other run.
    """
    layers = [layer for stack in stacks(network) for layer in stack] if wanted else []
    for layer in layers:
        layer.compile(dynamic=True)
    try:
        yield
    finally:
        for layer in layers:
            layer._compiled_call_impl = None


def stacks(network: nn.Module) -> list[nn.ModuleList]:
    """Return the lists of layers of one kind, the outermost ones: attention heads and experts lie in them."""
    found: list[nn.ModuleList] = []
    inside: set[int] = set()
    for module in network.modules():
        alike = isinstance(module, nn.ModuleList) and len({type(layer) for layer in module}) == 1
        if alike and id(module) not in inside:
            assert isinstance(module, nn.ModuleList)
            found.append(module)
            inside |= {id(part) for part in module.modules()}
    return found


def check_compiler(device: torch.device) -> None:
    """Refuse a machine on which nothing can be compiled, before a model is loaded."""
    if device.type == "cuda":
        if find_spec("triton") is None:
            raise BadConfig("runtime.compile=true needs Triton on a GPU: pip install triton, or leave it out")
        return
    names = [os.environ["CXX"]] if "CXX" in os.environ else COMPILERS
    if not any(map(shutil.which, names)):
        raise BadConfig(
            f"runtime.compile=true needs a C++ compiler on a CPU ({' or '.join(names)}), and there is none: "
            "install one, or leave it at false"
        )
