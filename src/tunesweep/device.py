"""Which device a point runs on, and with how many threads."""

from __future__ import annotations

import torch

from tunesweep.config import RuntimeConfig
from tunesweep.errors import BadConfig


def choose_device(runtime: RuntimeConfig) -> torch.device:
    """Return the GPU where there is one, unless told otherwise; set the threads of a CPU."""
    if runtime.threads:
        torch.set_num_threads(runtime.threads)
    available = torch.cuda.is_available()
    if runtime.device == "cuda" and not available:
        raise BadConfig("runtime.device=cuda, and torch sees no GPU here: use runtime.device=cpu or auto")
    if runtime.device == "cpu" or not available:
        return torch.device("cpu")
    return torch.device("cuda", torch.cuda.current_device())
