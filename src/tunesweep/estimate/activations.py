"""What a training step keeps for its backward pass, counted tensor by tensor.

Korthikanti et al. (2022), arXiv:2205.05198, section 4.1, count the activations of a layer in which every
weight is trained: inputs of linear layers, of norms and of the activation function, queries, keys, values,
and the scores of attention. With frozen weights the inputs of their linear layers need not be kept, since
the gradient of x in Wx is W'g: only those stay that an adapter reads. The counts below follow transformers'
own code, and tests compare them with what autograd keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunesweep.config import RunConfig
from tunesweep.estimate import parameters
from tunesweep.estimate.shape import Linear, Shape, Stack

STATE = 4  # bytes: sums and norms stay in 32 bits under autocast


@dataclass(frozen=True)
class Batch:
    """Examples of one pass: their number, tokens of the longest, tokens of the longest answer."""

    rows: int
    tokens: int
    written: int = 0


@dataclass(frozen=True)
class Flow:
    """How a pass computes: bytes of a number, fused attention or not, dropout or not.

    `casts`: weights are held in 32 bits and multiplied in 16, so every linear layer has its own copy of its
    input.
    """

    compute: int
    fused: bool
    dropout: bool
    casts: bool = False

    def score(self, shape: Shape) -> int:
        """Return the bytes that stay of one score of eager attention."""
        half = 2 if shape.bert else 6  # others: softmax in 32 bits, and its result as it is multiplied
        found = 4 if self.compute == 4 else half
        return found + 2 * self.compute * self.dropout  # the noise and what is left


def kept(config: RunConfig, shape: Shape, batch: Batch, flow: Flow) -> int:
    """Return the bytes that layers keep; with checkpoints their inputs, and one layer computed again."""
    if not flows(config):
        return 0
    each = [(s.layers, _layer(config, shape, s, own, flow)) for s, own in _stacks(config, shape, batch)]
    if config.runtime.gradient_checkpointing:
        return _inputs_of_layers(config, shape, batch) + max(layer for _, layer in each)
    return sum(layers * layer for layers, layer in each)


def taken(config: RunConfig, shape: Shape, batch: Batch, flow: Flow) -> int:
    """Return the bytes of all that a forward pass makes.

    What is not kept is freed at once. How much of it is used again is up to the allocator.
    """
    return sum(s.layers * _made(config, shape, s, own, flow) for s, own in _stacks(config, shape, batch))


def _stacks(config: RunConfig, shape: Shape, batch: Batch) -> list[tuple[Stack, Batch]]:
    """Return the stacks, each with the batch as it reads it: a decoder behind an encoder reads the answer."""
    first, *others = parameters.stacks(config, shape)
    answer = Batch(batch.rows, batch.written) if batch.written else batch
    return [(first, batch), *((other, answer) for other in others)]


def _inputs_of_layers(config: RunConfig, shape: Shape, batch: Batch) -> int:
    tokens = sum(s.layers * own.rows * own.tokens for s, own in _stacks(config, shape, batch))
    return tokens * shape.hidden * STATE


def flows(config: RunConfig) -> bool:
    """Whether gradients pass through the layers: not where only the head is trained."""
    method = config.method
    return method.trained and (
        method.peft is not None or method.layers is not None or method.trains is not None
    )


def _layer(config: RunConfig, shape: Shape, stack: Stack, batch: Batch, flow: Flow) -> int:
    tokens = batch.rows * batch.tokens
    norms = (stack.attentions + 1) * shape.hidden * (1 if shape.bert or not config.method.full else 2)
    dropped = 2 * shape.hidden * flow.compute * flow.dropout
    per_token = (
        norms * STATE
        + dropped
        + flow.compute
        * (stack.attentions * _attention(shape, flow) + _feed_forward(shape) + _inputs(config, stack, flow))
    )
    return tokens * per_token + stack.attentions * scores(shape, batch, flow)


def _made(config: RunConfig, shape: Shape, stack: Stack, batch: Batch, flow: Flow) -> int:
    """Everything that a layer's forward makes: outputs of linears, copies for products, sums, norms."""
    wide, narrow, h = shape.width, shape.kv_heads * shape.head_dim, shape.hidden
    if shape.bert:  # queries, keys, values, each copied; what attention gives, twice
        attention, sums = 8 * wide, 6 * h
    else:  # rotated (four results each) and repeated; T5 rotates nothing, and is counted alike
        attention, sums = 12 * wide + 6 * narrow, 10 * h
    feed_forward = shape.inner * (4 if shape.gated else 2) * (2 if shape.new_gelu else 1)
    # An adapter's output, scaled, and added; DoRA scales both parts, and adds again.
    adapted = sum(x.outputs for x in stack.linears if parameters.is_target(x, config))
    adapted *= 6 if (config.method.peft or {}).get("use_dora") else 3
    per_token = flow.compute * (stack.attentions * attention + sums + feed_forward + adapted)
    return batch.rows * batch.tokens * per_token + 3 * stack.attentions * scores(shape, batch, flow)


def _attention(shape: Shape, flow: Flow) -> int:
    """Queries, keys and values: eager attention repeats those that heads share, fused keeps its output."""
    narrow = shape.kv_heads * shape.head_dim
    return 2 * shape.width + 2 * narrow if flow.fused else 3 * shape.width


def scores(shape: Shape, batch: Batch, flow: Flow) -> int:
    """Return the bytes of the scores of one layer, quadratic in the length; fused attention keeps none."""
    if flow.fused:
        return 0
    return batch.rows * shape.heads * batch.tokens**2 * flow.score(shape)


def _feed_forward(shape: Shape) -> int:
    """What goes into the activation function, and both factors where it is a gate."""
    single = 4 if shape.new_gelu else 1
    return shape.inner * (single + 2 if shape.gated else single)


def _inputs(config: RunConfig, stack: Stack, flow: Flow) -> int:
    """Inputs of linear layers whose weights, or whose adapters, are trained; and what adapters keep."""
    if config.method.full:
        return _read(stack.linears, flow)
    on = [x for x in stack.linears if parameters.is_target(x, config)]
    spec = config.method.peft or {}
    rank = int(spec.get("init_r") or spec.get("r") or 0)
    more = sum(2 * x.outputs for x in on) if spec.get("use_dora") else 0
    dropped = sum(2 * x.inputs for x in on) if spec.get("lora_dropout") else 0
    return _read(on, flow) + rank * len(on) + more + dropped


def _read(linears: Sequence[Linear], flow: Flow) -> int:
    if flow.casts:
        return sum(x.inputs for x in linears)
    return sum({x.reads: x.inputs for x in linears}.values())
