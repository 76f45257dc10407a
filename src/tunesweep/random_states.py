"""The states of all random number generators, as plain data and tensors."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

States = dict[str, Any]


def capture() -> States:
    """Return the states of Python's, numpy's, torch's and every GPU's generator."""
    table: dict[str, Any] = dict(np.random.get_state(legacy=False))
    table["state"] = table["state"] | {"key": table["state"]["key"].tolist()}
    return {
        "python": random.getstate(),
        "numpy": table,
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore(states: States) -> None:
    """Put every generator back; a GPU that was not there goes on as it is."""
    random.setstate(states["python"])
    table = states["numpy"]
    key = np.array(table["state"]["key"], dtype=np.uint32)
    np.random.set_state(table | {"state": table["state"] | {"key": key}})
    torch.set_rng_state(states["torch"])
    if states["cuda"] and torch.cuda.is_available():
        for device, state in zip(range(torch.cuda.device_count()), states["cuda"], strict=False):
            torch.cuda.set_rng_state(state, device)
