"""Logits of a network over a split: one loop for the final score and for every check of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from tunesweep.data.batches import Batch
from tunesweep.models.readouts import Readout


def score(network: Readout, batches: Iterable[Batch], precision: str) -> np.ndarray:
    """Return logits [n, classes] in 32 bits, in the order of the examples, without changing the network."""
    device = next(network.parameters()).device
    was_training, rows = network.training, []
    network.eval()
    with torch.inference_mode(), autocast(device, precision):
        for batch in batches:
            moved: dict[str, Any] = {key: value.to(device) for key, value in batch.items()}
            rows.append((batch["index"], network(moved).float().cpu()))
    network.train(was_training)
    order = torch.argsort(torch.cat([index for index, _ in rows]))
    logits: np.ndarray = torch.cat([logits for _, logits in rows])[order].numpy()
    return logits


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return bf16 autocast where the point trains in bf16."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
