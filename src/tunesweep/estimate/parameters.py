"""How many weights a point has and trains, counted from the sizes of its architecture."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tunesweep.config import RunConfig
from tunesweep.estimate.shape import Linear, Shape, Stack
from tunesweep.methods import options


@dataclass(frozen=True)
class Trained:
    """Numbers of trained weights and tensors."""

    adapter: int
    head: int
    tensors: int

    @property
    def all(self) -> int:
        """Return both together."""
        return self.adapter + self.head


def stacks(config: RunConfig, shape: Shape) -> tuple[Stack, ...]:
    """Return the stacks that a readout loads: the encoder alone where states are pooled."""
    return shape.stacks[:1] if config.readout.name == "linear" else shape.stacks


def in_layers(config: RunConfig, shape: Shape) -> int:
    """Return the weights of all linear layers of the stacks, biases apart: what 4 bits can hold."""
    return sum(s.layers * sum(x.inputs * x.outputs for x in s.linears) for s in stacks(config, shape))


def embeddings(config: RunConfig, shape: Shape) -> int:
    """Return the weights of the tables, that of an untied language-model head among them."""
    own_head = not shape.tied and _prompted(config)
    return (shape.vocabulary * (2 if own_head else 1) + shape.positions) * shape.hidden


def small(config: RunConfig, shape: Shape) -> int:
    """Return norms and biases, of which there are few."""
    norms = 4 if shape.bert else 2
    parts = stacks(config, shape)
    biases = sum(s.layers * sum(x.outputs for x in s.linears if x.bias) for s in parts)
    pooler = (
        shape.hidden * (shape.hidden + 1) if shape.kind == "bert" and config.readout.name == "head" else 0
    )
    return (
        biases
        + sum(s.layers for s in parts) * norms * shape.hidden
        + (2 if shape.bert else 1) * shape.hidden
        + pooler
    )


def base(config: RunConfig, shape: Shape) -> int:
    """Return all weights of the backbone."""
    return in_layers(config, shape) + embeddings(config, shape) + small(config, shape)


def head(config: RunConfig, shape: Shape, classes: int) -> int:
    """Return the weights of the classification head, new or trained whole."""
    h = shape.hidden
    if config.readout.name not in ("head", "linear") or _prompted(config):
        return 0
    if config.readout.name == "linear":
        return (h + 1) * classes
    if shape.kind in ("llama", "mistral", "gemma", "qwen2"):
        return h * classes
    dense = shape.kind != "bert" or "bert.pooler" in config.model.head
    return (h + 1) * classes + (h * (h + 1) if dense else 0)


def _prompted(config: RunConfig) -> bool:
    return config.readout.prompted or config.dataset.task != "classification"


def trained(config: RunConfig, shape: Shape, classes: int) -> Trained | None:
    """Return what a method trains, or nothing where its way of counting is unknown."""
    own, method = head(config, shape, classes), config.method
    heads = 2 if own else 0
    if not method.trained:
        return Trained(0, 0, 0)
    if method.full:
        linears = sum(s.layers * (len(s.linears) + 2) for s in stacks(config, shape))
        return Trained(base(config, shape), own, linears * (2 if shape.bert else 1) + heads)
    if method.peft is not None:
        added = _peft(config, shape)
    elif method.layers is not None:
        added = _bottleneck(config, shape)
    elif method.trains is None:
        added = (0, 0)
    else:
        added = _biases(config, shape) if method.trains == r"(^|\.)bias$" else None
    return None if added is None else Trained(added[0], own, added[1] + heads)


def _biases(config: RunConfig, shape: Shape) -> tuple[int, int]:
    norms = 2 if shape.bert else 0
    found = [(x.outputs, s.layers) for s in stacks(config, shape) for x in s.linears if x.bias]
    found += [(shape.hidden, norms * s.layers) for s in stacks(config, shape)]
    pooler = shape.kind == "bert" and config.readout.name == "head" and "bert.pooler" not in config.model.head
    found.append((shape.hidden, int(shape.bert) + int(pooler)))  # the norm of the embeddings; the pooler
    return sum(size * times for size, times in found), sum(times for _, times in found)


def targets(config: RunConfig, shape: Shape) -> Iterator[tuple[Linear, int]]:
    """Yield the linear layers that an adapter sits on, and how many layers have each."""
    for stack in stacks(config, shape):
        yield from ((linear, stack.layers) for linear in stack.linears if is_target(linear, config))


def is_target(linear: Linear, config: RunConfig) -> bool:
    """Whether a PEFT method sits on a linear layer."""
    spec = config.method.peft or {}
    names, excluded = spec.get("target_modules") or (), spec.get("exclude_modules") or ()
    if isinstance(names, str):  # PEFT's own word, or a pattern
        return names == "all-linear" or re.fullmatch(names, linear.name) is not None
    return any(_ends(linear.name, n) for n in names) and not any(_ends(linear.name, n) for n in excluded)


def _ends(name: str, ending: str) -> bool:
    # As PEFT matches; every layer's path stands before the name.
    return f".{name}".endswith(f".{ending}")


def _peft(config: RunConfig, shape: Shape) -> tuple[int, int] | None:
    spec = config.method.peft or {}
    kind = str(spec.get("_target_", "")).removeprefix("peft.")
    if kind in VIRTUAL:
        return VIRTUAL[kind](spec, config, shape)
    if kind not in ON_LAYERS:
        return None
    each = [(ON_LAYERS[kind](spec, linear), times) for linear, times in targets(config, shape)]
    return sum(n * times for (n, _), times in each), sum(k * times for (_, k), times in each)


def _lora(spec: Mapping[str, Any], on: Linear) -> tuple[int, int]:
    magnitude = on.outputs if spec.get("use_dora") else 0
    return int(spec.get("r", 8)) * (on.inputs + on.outputs) + magnitude, 3 if magnitude else 2


def _adalora(spec: Mapping[str, Any], on: Linear) -> tuple[int, int]:
    return int(spec.get("init_r", 12)) * (on.inputs + on.outputs + 1), 3


def _vera(spec: Mapping[str, Any], on: Linear) -> tuple[int, int]:
    return int(spec.get("r", 256)) + on.outputs, 2


def _ia3(spec: Mapping[str, Any], on: Linear) -> tuple[int, int]:
    inside = any(_ends(on.name, name) for name in spec.get("feedforward_modules") or ())
    return on.inputs if inside else on.outputs, 1


ON_LAYERS: dict[str, Callable[[Mapping[str, Any], Linear], tuple[int, int]]] = {
    "LoraConfig": _lora,
    "AdaLoraConfig": _adalora,
    "VeraConfig": _vera,
    "IA3Config": _ia3,
}


def virtual_tokens(config: RunConfig) -> int:
    """Return how many learned tokens stand before each text."""
    return int((config.method.peft or {}).get("num_virtual_tokens") or 0)


def _prefix(spec: Mapping[str, Any], config: RunConfig, shape: Shape) -> tuple[int, int] | None:
    if spec.get("prefix_projection"):
        return None
    layers = sum(s.layers for s in stacks(config, shape))
    return virtual_tokens(config) * layers * 2 * shape.kv_heads * shape.head_dim, 1


def _prompt(spec: Mapping[str, Any], config: RunConfig, shape: Shape) -> tuple[int, int]:
    return virtual_tokens(config) * shape.hidden, 1


def _encoder(spec: Mapping[str, Any], config: RunConfig, shape: Shape) -> tuple[int, int] | None:
    if spec.get("encoder_reparameterization_type", "MLP") != "MLP":
        return None
    h = shape.hidden
    inner = int(spec.get("encoder_hidden_size") or h)
    return virtual_tokens(config) * h + (h + 1) * inner + (inner + 1) * inner + (inner + 1) * h, 7


VIRTUAL: dict[str, Callable[[Mapping[str, Any], RunConfig, Shape], tuple[int, int] | None]] = {
    "PrefixTuningConfig": _prefix,
    "PromptTuningConfig": _prompt,
    "PromptEncoderConfig": _encoder,
}


def _bottleneck(config: RunConfig, shape: Shape) -> tuple[int, int] | None:
    chosen = options.read(config.method.layers or {})
    found, tensors = 0, 0
    for stack in stacks(config, shape):
        for linear in stack.linears:
            at = any(_ends(linear.name, name) for name in chosen.places)
            if at and not any(_ends(linear.name, name) for name in chosen.others):
                inner = chosen.width or max(1, round(linear.outputs / chosen.reduction))
                found += stack.layers * (2 * linear.outputs * inner + inner + linear.outputs)
                tensors += 4 * stack.layers
    return found, tensors
