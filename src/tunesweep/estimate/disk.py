"""What a run leaves on disk: its weights, if they are kept, its predictions, its record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesweep.config import RunConfig
from tunesweep.estimate import parameters
from tunesweep.estimate.shape import Shape

# Measured: a tensor's entry in the header of a safetensors file; PEFT's configuration and card; a record;
# a row of predictions, its probabilities apart; what is about them in a Parquet file.
ENTRY, PEFT_FILES, RECORD, ROW, PARQUET = 140, 7_000, 9_000, 14, 5_000


def kept(config: RunConfig, shape: Shape | None, classes: int, scored: int | None) -> int | None:
    """Return the bytes that stay; nothing where weights stay that cannot be counted, or rows are unknown."""
    weights = _weights(config, shape, classes) if config.keeps_weights else 0
    if weights is None or scored is None:
        return None
    return weights + RECORD + PARQUET + scored * (ROW + 8 * classes)


def _weights(config: RunConfig, shape: Shape | None, classes: int) -> int | None:
    found = parameters.trained(config, shape, classes) if shape is not None else None
    if shape is None or found is None:
        return None
    spec = config.method.peft or {}
    size = 4 * (_saved(spec, config, shape, found.adapter) + found.head) + ENTRY * found.tensors
    return size + (PEFT_FILES if spec else 0)


def _saved(spec: Mapping[str, Any], config: RunConfig, shape: Shape, adapter: int) -> int:
    """Return the weights in an adapter's file: virtual tokens without the network that made them."""
    if str(spec.get("_target_")).endswith("PromptEncoderConfig"):
        return parameters.virtual_tokens(config) * shape.hidden
    if spec.get("save_projection"):
        on = [linear for linear, _ in parameters.targets(config, shape)]
        shared = max((x.inputs for x in on), default=0) + max((x.outputs for x in on), default=0)
        return adapter + int(spec.get("r", 256)) * shared
    return adapter
