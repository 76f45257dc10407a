"""What cannot be trained by several processes, asked in planning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tunesweep.config import RunConfig


def problems(config: RunConfig) -> Iterator[str]:
    """Yield, one sentence each, why a point cannot be sharded."""
    if config.runtime.strategy != "fsdp2":
        return
    method, optimizer = config.method, config.train.optimizer
    if method.quantisation:
        yield (
            f"runtime.strategy=fsdp2 shards weights, and those of method={method.name} are in 4 bits, "
            "which cannot be sharded: use runtime.strategy=ddp, or method.quantisation=null"
        )
    if method.hook:
        yield (
            f"runtime.strategy=fsdp2 leaves each process a part of every weight, and method={method.name} "
            "changes whole ones in training: use runtime.strategy=ddp"
        )
    if optimizer != "adamw":
        yield (
            f"runtime.strategy=fsdp2 shards the optimiser's state, which train.optimizer={optimizer} "
            "does not know: use train.optimizer=adamw"
        )


def several_in_one_process(points: Sequence[RunConfig]) -> Iterator[str]:
    """Refuse several points that start processes of their own, carried by one process (R7)."""
    joint = [config for config in points if config.runtime.strategy != "single"]
    if len(points) > 1 and any(config.runtime.point.executor == "in process" for config in joint):
        yield (
            f"runtime.strategy={joint[0].runtime.strategy} starts {joint[0].runtime.devices} processes for a "
            f"point, and hydra/launcher=basic carries {len(points)} points in one process, which would hold "
            "the devices of the one beside it: give one point a command, or choose a launcher with a "
            "process for each, such as hydra/launcher=submitit_slurm"
        )
