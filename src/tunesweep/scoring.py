"""What a network says of a split: one loop for the final score and for every check of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunesweep.data.batches import Batch
from tunesweep.models.readouts import Readout

Seen = dict[str, np.ndarray]  # what was seen of each example, in their order
Look = Callable[[Readout, Batch], dict[str, Tensor]]
Ask = Callable[[Readout, Iterable[Batch], str, Look], Seen]  # `score`, or what has its answers


def score(network: Readout, batches: Iterable[Batch], precision: str, look: Look) -> Seen:
    """Return what `look` sees [n, ...] in 32 bits, in the order of the examples, and leave the network."""
    parts = []
    with at_rest(network, precision):
        for batch in batches:
            moved = to_device(batch, network)
            seen = {key: value.float().cpu() for key, value in look(network, moved).items()}
            parts.append({"index": batch["index"]} | seen)
    return collect(parts)


def write(network: Readout, batches: Iterable[Batch], precision: str, longest: int) -> list[list[int]]:
    """Return the ids that a network writes after each prompt, in the order of the examples."""
    found: dict[int, list[int]] = {}
    with at_rest(network, precision):
        for batch in batches:
            texts = network.generate(to_device(batch, network), longest)  # type: ignore[operator]
            found |= dict(zip(batch["index"].tolist(), texts, strict=True))
    return [found[index] for index in sorted(found)]


def collect(parts: list[dict[str, Tensor]]) -> Seen:
    """Join batches, each with the `index` of its examples, in the order of the examples."""
    order = torch.argsort(torch.cat([part["index"] for part in parts]))
    keys = [key for key in parts[0] if key != "index"]
    return {key: torch.cat([part[key] for part in parts])[order].numpy() for key in keys}


@contextmanager
def at_rest(network: Readout, precision: str) -> Iterator[None]:
    """Evaluate without gradients and dropout; afterwards the network trains again if it did before."""
    was_training = network.training
    network.eval()
    try:
        with torch.inference_mode(), autocast(device_of(network), precision):
            yield
    finally:
        network.train(was_training)


def to_device(batch: Batch, network: Readout) -> dict[str, Any]:
    """Return a batch where the network is."""
    device = device_of(network)
    return {key: value.to(device) for key, value in batch.items()}


def device_of(network: Readout) -> torch.device:
    """Return where a network's weights lie."""
    return next(network.parameters()).device


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return bf16 autocast where the point trains in bf16."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
