"""What can be trained together with others, as data: the first rule that fits a point says why it cannot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from tunesweep.capabilities import packs, traits
from tunesweep.config import WORKER, RunConfig
from tunesweep.identity import digest

# Methods that leave the base as it is and change single layers, which rows of one batch can go through apart.
TARGETS = ("peft.LoraConfig", "peft.IA3Config")
TRAITS = ("biases", "head_alone")
# What may differ within a group: each run has its own optimiser, schedule, clipping, order and patience.
OWN = ("lr", "warmup", "optimizer", "schedule", "weight_decay", "clip", "monitor", "patience")
SHARED_RUNTIME = (
    *("fuse", "probe_steps", "device", "threads", "micro_batch", "eval_batch_size", "attention", "kernels"),
    *("checkpoint_minutes", "packing", "early_exit"),
)
NEVER = "runtime.fuse=never"  # the default
# On a CPU no pass holds more than so many of a run's widest batches: beside what each run has of its own, a
# group needs what two of its runs do, however many there are.
HEAVIEST = 2
TOKEN_READOUTS = ("head", "linear")  # read all rows of a batch at one width


@dataclass(frozen=True)
class Rule:
    """Points that are carried out alone, and why."""

    holds: Callable[[RunConfig], bool]
    because: str


def changes_layers(config: RunConfig) -> bool:
    """Whether a method leaves the base as it is, and changes single layers."""
    method = config.method
    if method.peft is not None:
        return method.peft.get("_target_") in TARGETS
    return bool(traits(method) & set(TRAITS))


def _draws(config: RunConfig) -> bool:
    spec = config.method.peft or {}
    return any(value for key, value in spec.items() if key.endswith("dropout"))


RULES = (
    Rule(lambda c: c.runtime.fuse == "never", NEVER),
    Rule(lambda c: c.runtime.point.executor != WORKER, "the launcher takes one point at a time"),
    Rule(lambda c: c.runtime.strategy != "single", "several processes train it"),
    Rule(lambda c: c.runtime.timeout_minutes is not None, "runtime.timeout_minutes is a limit for each run"),
    Rule(lambda c: c.runtime.gradient_checkpointing, "runtime.gradient_checkpointing computes layers twice"),
    Rule(lambda c: not c.method.trained, "it trains nothing"),
    Rule(lambda c: c.method.full, "it trains the base itself"),
    Rule(lambda c: c.method.hook is not None, "its method changes the network while it learns"),
    Rule(lambda c: not changes_layers(c), "its method changes more than single layers"),
    Rule(lambda c: c.model.family == "vision", "its model reads pictures"),
    Rule(lambda c: c.runtime.compile, "runtime.compile compiles the layers of one run"),
    Rule(packs, "runtime.packing puts its batches into one row each"),
    Rule(lambda c: c.method.shots.k > 0, "method.shots puts examples of its own before the prompts"),
    Rule(lambda c: c.readout.calibration is not None, "readout.calibration asks about prompts of its own"),
    Rule(lambda c: bool(c.train.dropout is None or c.train.dropout), "train.dropout draws in shared layers"),
    Rule(
        lambda c: _draws(c) and c.readout.name not in TOKEN_READOUTS,
        "its dropout is drawn for prompts and answers, whose lengths differ from run to run",
    ),
)


def why_alone(config: RunConfig) -> str | None:
    """Return why a point is carried out alone; None where it can be part of a group."""
    return next((rule.because for rule in RULES if rule.holds(config)), None)


def common(config: RunConfig) -> str:
    """Return what stands for all that the runs of one group have in common."""
    own = OWN if config.runtime.early_exit is None else [key for key in OWN if key != "monitor"]
    train = {key: value for key, value in asdict(config.train).items() if key not in own}
    runtime = {key: getattr(config.runtime, key) for key in SHARED_RUNTIME}
    point = config.runtime.point
    return digest(
        [
            *(asdict(config.model), point.model_fingerprint, asdict(config.dataset), point.data_fingerprint),
            *(config.encoding, asdict(config.readout), train, config.seeds.split, runtime),
            *(config.method.quantisation, config.base_dtype),
            config.seeds.init if config.model.random else None,  # which draws the base itself
        ]
    )
