"""What a run of a group would take alone: a few of its steps, warm, with nobody beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from tunesweep import random_states
from tunesweep.config import RunConfig
from tunesweep.fused.member import Member
from tunesweep.identity import digest
from tunesweep.memory import MemoryWatch
from tunesweep.methods import artefact
from tunesweep.scoring import autocast, to_device
from tunesweep.stages import Workplace
from tunesweep.trainer import Stopwatch


def costs_of(works: Sequence[Workplace]) -> list[dict[str, Any]]:
    """Return the `cost` of each run of a group; of those that compute the same, one is probed."""
    steps = works[0].config.runtime.probe_steps
    if not steps:
        return [{} for _ in works]
    kinds = [_computed(work.config) for work in works]
    found = {kind: probe(work, steps) for kind, work in dict(zip(kinds, works, strict=True)).items()}
    return [dict(found[kind]) for kind in kinds]


def _computed(config: RunConfig) -> str:
    """Return what stands for the operations of a step: seeds and rates change none of them."""
    return digest([asdict(config.method), config.train.optimizer, bool(config.train.clip)])


def probe(work: Workplace, steps: int) -> dict[str, Any]:
    """Return `cost` of a run by so many optimiser steps alone; the run is left as it was.

    The first step, not timed, warms up with the longest batch, which needs most memory: that is the peak
    increase. Minutes an epoch are seconds per token, padding included, times those of an epoch. What this
    process holds in all is the group's, so nothing is said of it.
    """
    states = random_states.capture()
    member, watch = Member(work), Stopwatch()
    longest, *batches = _chosen(work, steps)
    member.begin(steps + 1)
    with MemoryWatch(work.device) as memory:
        _step(member, longest)
        watch.start()
        for batch in batches:
            _step(member, batch)
        watch.stop(work.device)
    rates = _rates(work, watch.seconds, batches)
    artefact.restore(work.network, work.untrained)
    work.data.batches.begin_at(0, 0)
    random_states.restore(states)
    found = memory.description()
    found.pop("peak_memory_bytes")
    return found | rates | {"probed": steps}


def _chosen(work: Workplace, steps: int) -> list[list[int]]:
    """Return index lists of micro-batches of the first epoch: the longest, and the middle of equal parts."""
    work.data.batches.begin_at(0, 0)
    found = sorted(work.data.batches, key=lambda batch: -_size(work, batch))
    parts = np.array_split(np.arange(len(found)), min(steps, len(found)))
    return [found[place] for place in (0, *(part[len(part) // 2] for part in parts))]


def _size(work: Workplace, batch: list[int]) -> int:
    """Return the tokens of a micro-batch, padding included."""
    lengths = work.data.batches.lengths[batch]
    return int(lengths.max() * len(lengths))


def _step(member: Member, batch: list[int]) -> None:
    work = member.work
    loaded = to_device(work.data.train_batch(batch), work.network)
    work.network.train()
    with autocast(work.device, work.config.train.precision):
        losses = work.task.losses(work.network, loaded)
    torch.autograd.backward(losses.mean())
    member.step()


def _rates(work: Workplace, seconds: float, batches: list[list[int]]) -> dict[str, float]:
    """Return minutes of an epoch, and real tokens a second."""
    work.data.batches.begin_at(0, 0)
    whole = sum(_size(work, batch) for batch in work.data.batches)
    epoch_s = seconds * whole / sum(_size(work, batch) for batch in batches)
    return {"minutes_per_epoch": epoch_s / 60, "tokens_per_s": sum(work.data.lengths("train")) / epoch_s}
