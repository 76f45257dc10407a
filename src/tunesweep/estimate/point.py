"""One point's estimate: memory, minutes and bytes, and what speaks against it. A missing one is None."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tunesweep.config import RunConfig
from tunesweep.estimate import disk, sizes
from tunesweep.estimate.architecture import shape_of
from tunesweep.estimate.finished import Finished
from tunesweep.estimate.memory import Memory, Sizes, memory
from tunesweep.hardware import free_memory, on_gpu
from tunesweep.report.columns import size as in_words


@dataclass(frozen=True)
class Estimate:
    """What a point will take."""

    memory_bytes: int | None = None  # peak above what is loaded
    own_bytes: int | None = None  # of that, what no run of a group shares
    peak_memory_bytes: int | None = None
    minutes: float | None = None
    disk_bytes: int | None = None
    problems: list[str] = field(default_factory=list)


def estimate(config: RunConfig, known: Finished) -> Estimate:
    """Return what is known of a point before its data are read."""
    batches = sizes.planned(config, known.longest(config))
    found = of_memory(config, batches)
    return Estimate(
        memory_bytes=found.increase if found else None,
        own_bytes=found.own if found else None,
        peak_memory_bytes=found.peak if found else None,
        minutes=known.minutes(config),
        disk_bytes=disk.kept(config, shape_of(config.model), batches.classes, known.scored(config)),
        problems=_problems(config, found),
    )


def of_memory(config: RunConfig, batches: Sizes) -> Memory | None:
    """Return the memory of a point that trains, where its architecture is known."""
    shape = shape_of(config.model)
    if shape is None or not config.method.trained:
        return None
    return memory(config, shape, batches, on_gpu(config.runtime.device))


def prediction(config: RunConfig, data: Any) -> dict[str, Any]:
    """Return the record's `cost.predicted`: data that were read say how long the longest batch is."""
    if config.model.family == "vision":
        return {"minutes": config.runtime.point.minutes}
    batches = sizes.measured(config, data)
    found = of_memory(config, batches)
    return {
        "memory_bytes": found.increase if found else None,
        "peak_memory_bytes": found.peak if found else None,
        "minutes": config.runtime.point.minutes,
        "tokens": int(max(data.lengths("train"))),
    }


def _problems(config: RunConfig, found: Memory | None) -> list[str]:
    free = free_memory(config.runtime.device)
    if found is None or free is None or found.peak <= free:
        return []
    remedies = []
    if (config.runtime.micro_batch or config.train.batch_size) > 1:
        remedies.append("runtime.micro_batch=1")
    if not config.runtime.gradient_checkpointing:
        remedies.append("runtime.gradient_checkpointing=true")
    if config.method.full:
        remedies.append("method=lora")
    reason = f"may not fit: up to {in_words(found.peak)} are needed, {in_words(free)} are free"
    return [f"{reason}; try {', '.join(remedies or ['a smaller model'])}"]
