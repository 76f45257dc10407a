"""Peak memory of a point: what is loaded, and the increase while it trains.

The increase is the largest of three moments: a forward pass at its end (gradients of the step before are
still there), an evaluation, and the writing of the best weights; optimiser states are there at all three.

On a CPU the resident set is more than what is alive: glibc's allocator leaves gaps, since torch asks for
aligned memory, which a gap of the same size cannot give. Measured (docs/planning.md): alive 485 MB, resident
1,016 MB. So a share of what a forward pass has freed is counted, and gradients twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tunesweep.config import RunConfig
from tunesweep.config.runtime import LOGITS_AT_ONCE
from tunesweep.estimate import activations, parameters
from tunesweep.estimate.activations import Batch, Flow
from tunesweep.estimate.shape import Shape

BYTES = {"float32": 4, "bfloat16": 2}
# NF4: half a byte a weight; a byte for the maximum of 64, itself held in 8 bits, and 4 bytes for 256 of these
# (QLoRA, arXiv:2305.14314, section 3).
NF4 = 0.5 + 1 / 64 + 4 / (64 * 256)
ADAM = 8  # two moments in 32 bits (arXiv:1412.6980)
ADAM_8BIT, BLOCK, SMALL = 2, 256, 4096  # arXiv:2110.02861; bitsandbytes keeps small tensors in 32 bits
# Measured on CPUs: Python with torch, transformers, PEFT and Lightning; and what a process's first steps add
# (compiled kernels, thread pools, the allocator's own).
PROCESS, FIRST_STEPS = 520_000_000, 60_000_000
FOUR_BIT_STEPS = 45_000_000  # what the first steps of 4-bit layers add
# Of what a forward pass has freed, the part that a CPU's allocator does not use again: at tensors of 1 MB,
# and what each factor of e adds; above 32 MB it gives them back. With checkpoints: of all layers, beside one.
GAPS, GAPS_PER_E, GIVEN_BACK, GAPS_OF_ALL = 0.33, 0.15, 32_000_000, 0.14


@dataclass(frozen=True)
class Memory:
    """Bytes of a point by what they are for."""

    process: int
    weights: int
    trained: int  # copies of trained weights as they were
    gradients: int
    optimizer: int
    activations: int
    gaps: int  # freed, and resident all the same
    logits: int
    evaluation: int
    saving: int
    overhead: int

    @property
    def increase(self) -> int:
        """Return the peak above what is loaded."""
        training = self.gradients + self.gaps + self.activations + self.logits
        moments = (training, self.gradients + self.evaluation, self.gradients + self.saving)
        return self.optimizer + max(moments) + self.overhead

    @property
    def own(self) -> int:
        """Return what of the increase each run holds that is trained together with others."""
        return self.optimizer + 2 * self.gradients + self.saving  # twice: see above

    @property
    def peak(self) -> int:
        """Return the peak in all."""
        return self.process + self.weights + self.trained + self.increase


@dataclass(frozen=True)
class Sizes:
    """What the data decide: the largest batch that is learned from, and that is evaluated; classes."""

    train: Batch
    select: Batch
    classes: int = 2


def memory(config: RunConfig, shape: Shape, sizes: Sizes, on_gpu: bool) -> Memory | None:
    """Return the estimate, or nothing where what the method trains cannot be counted."""
    trained = parameters.trained(config, shape, sizes.classes)
    if trained is None:
        return None
    flow = flow_of(config, shape, on_gpu)
    return Memory(
        process=0 if on_gpu else PROCESS,
        weights=_weights(config, shape, trained),
        trained=0 if on_gpu else 4 * trained.all,
        gradients=4 * trained.all,
        optimizer=_optimizer(config, trained),
        activations=activations.kept(config, shape, sizes.train, flow)
        + casts(config, shape, flow)
        + (_working(shape, sizes.train, flow) if on_gpu else 0),
        gaps=0 if on_gpu else 4 * trained.all + _gaps(config, shape, sizes.train, flow),
        logits=_logits(config, shape, sizes.train, flow.compute, learnt=True),
        evaluation=_working(shape, sizes.select, flow)
        + _logits(config, shape, sizes.select, flow.compute, learnt=False),
        saving=0 if on_gpu else SAVING * trained.all,
        overhead=0 if on_gpu else FIRST_STEPS + (FOUR_BIT_STEPS if config.method.quantisation else 0),
    )


SAVING = 4  # bytes a trained weight: a copy, which safetensors writes without one of its own


def flow_of(config: RunConfig, shape: Shape, on_gpu: bool) -> Flow:
    """Return how a point computes, as `models.backbone` will decide."""
    chosen = config.runtime.attention
    fused = on_gpu if chosen == "auto" else chosen != "eager"
    rate = shape.dropout if config.train.dropout is None else config.train.dropout
    compute = 2 if config.train.precision == "bf16" else 4
    casts = compute == 2 and _held(config) == 4 and not config.method.quantisation
    return Flow(compute, fused, bool(rate) and config.method.trained, casts)


def _held(config: RunConfig) -> int:
    """Return the bytes of a weight of the base, as `models.backbone.base_dtype` decides."""
    frozen = (
        config.method.peft is not None or config.method.layers is not None or config.method.trains is None
    )
    return BYTES[config.model.dtype] if config.train.precision == "bf16" and frozen else 4


def _weights(config: RunConfig, shape: Shape, trained: parameters.Trained) -> int:
    linear, held = parameters.in_layers(config, shape), _held(config)
    others = parameters.base(config, shape) - linear
    added = 0 if config.method.full else trained.adapter
    inside = NF4 if config.method.quantisation else held
    return int(linear * inside + others * held + 4 * (added + trained.head))


def _optimizer(config: RunConfig, trained: parameters.Trained) -> int:
    eight = config.train.optimizer != "adamw"
    small = trained.tensors and trained.all / trained.tensors < SMALL
    if not eight or small:
        return ADAM * trained.all
    return int((ADAM_8BIT + 2 * 4 / BLOCK) * trained.all)


def casts(config: RunConfig, shape: Shape, flow: Flow) -> int:
    """Return the 16-bit copies of 32-bit weights, which backward needs once more."""
    if not flow.casts or not activations.flows(config) or config.runtime.gradient_checkpointing:
        return 0
    return 2 * parameters.in_layers(config, shape)


def _working(shape: Shape, batch: Batch, flow: Flow) -> int:
    """Return what a single layer takes while it computes and keeps nothing."""
    states = batch.rows * batch.tokens * (shape.width + shape.inner) * flow.compute
    return states + activations.scores(shape, batch, flow)


def _gaps(config: RunConfig, shape: Shape, batch: Batch, flow: Flow) -> int:
    """Return what a CPU's allocator does not use again of what a forward pass has made and freed."""
    if not activations.flows(config):
        return 0
    made = activations.taken(config, shape, batch, flow)
    if config.runtime.gradient_checkpointing:
        layers = sum(stack.layers for stack in parameters.stacks(config, shape))
        return int((GAPS_OF_ALL + 1 / layers) * made)
    tensor = batch.rows * batch.tokens * shape.hidden * flow.compute
    if tensor > GIVEN_BACK:
        return 0
    share = min(1.0, max(0.0, GAPS + GAPS_PER_E * math.log(tensor / 1e6)))
    return int(share * max(0, made - activations.kept(config, shape, batch, flow)))


def _logits(config: RunConfig, shape: Shape, batch: Batch, compute: int, learnt: bool) -> int:
    """Return logits over the vocabulary, in the compute dtype and 32 bits; in training also gradients."""
    if config.dataset.task == "classification" and not config.readout.prompted:
        return 0
    places = batch.rows * (
        batch.tokens if config.dataset.task == "language_modeling" else max(1, batch.written)
    )
    number = 4 * (3 if learnt else 2) + (compute if compute == 2 else 0)
    answers = config.dataset.task != "classification" or config.readout.name == "generate"
    if shape.vocabulary and answers:  # whose losses are computed in parts; label words are scored at once
        places = min(places, max(1, LOGITS_AT_ONCE // shape.vocabulary))
    return places * shape.vocabulary * number
