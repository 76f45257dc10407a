"""What a frozen backbone says of each example, computed once: a head alone then learns from that.

Nothing else differs from training through the backbone: the same batches, losses, schedule. Each example is
read in a batch of its own split's order by length, so that its features do not depend on what was trained
before, or on where a run was resumed.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tunesweep import headroom, random_states
from tunesweep.capabilities import learns_from_features
from tunesweep.data.batches import Batch
from tunesweep.identity import digest
from tunesweep.memory import MemoryWatch
from tunesweep.models.readouts import Readout
from tunesweep.scoring import score

if TYPE_CHECKING:
    from tunesweep.stages import Workplace

LEARNT = ("train", "select")
KEPT = 4  # sets of features that a process keeps for the points that follow,
LIMIT = 2**31  # and their bytes in all; vectors that would take more are not kept, nor computed


@dataclass(frozen=True)
class Features:
    """Vectors [examples, width] in 32 bits of what is learned from and watched, and what they cost."""

    vectors: dict[str, Tensor]
    seconds: dict[str, float]
    memory: dict[str, int | str]


_known: dict[str, Features] = {}


def learn_from_features(work: Workplace) -> Features | None:
    """Let a run's data hand out features instead of tokens; None where its head reads more than a vector."""
    if not learns_from_features(work.config):
        return None
    states = random_states.capture()  # loaders draw when they begin, and training is to draw as without this
    found = headroom.within_memory(partial(_features, work), partial(headroom.halve_micro_batch, work))
    random_states.restore(states)
    if found is not None:
        work.data.learn_from(found.vectors)
    return found


def charge(cost: dict[str, Any], features: Features) -> None:
    """Add to a run's cost what its features take, whoever computed them: alone, it would have."""
    cost["features_seconds"] = sum(features.seconds.values())
    if features.memory["memory_bytes"] > cost["memory_bytes"]:
        cost |= features.memory


def _features(work: Workplace) -> Features | None:
    key = _key(work)
    if key not in _known:
        size = _width(work) * sum(4 * len(work.data.lengths(split)) for split in LEARNT)
        if not 0 < size <= LIMIT:
            return None
        while len(_known) >= KEPT or (_known and size + sum(map(_size, _known.values())) > LIMIT):
            _known.pop(next(iter(_known)))
        _known[key] = _computed(work)
    return _known[key]


def _size(features: Features) -> int:
    return sum(vectors.nbytes for vectors in features.vectors.values())


def _key(work: Workplace) -> str:
    """Return what stands for all that features depend on: frozen weights and tokens by content."""
    config, network = work.config, work.network
    frozen = {name: value for name, value in work.base.items() if name not in work.untrained}
    rows = [_tokens(work.data.rows[split]) for split in LEARNT]
    cut = [config.readout.name, config.readout.pooling, config.model.pooling, config.train.precision]
    kind = [type(network.body).__name__, str(work.device), str(next(network.body.parameters()).dtype)]
    return digest([frozen, rows, cut, kind, work.data.batches.micro, config.runtime.attention])


def _tokens(rows: Any) -> str:
    """Return a hash of the token ids of a split, and of where each example ends."""
    found = hashlib.sha256()
    table = rows.with_format("arrow")[:]
    for name in sorted({"input_ids", "token_type_ids"} & set(table.column_names)):
        column = table[name].combine_chunks()
        found.update(column.flatten().to_numpy().tobytes())
        found.update(column.value_lengths().to_numpy().tobytes())
    return found.hexdigest()


def _width(work: Workplace) -> int:
    """Return the numbers that the head reads of an example; 0 where it reads more than one vector."""
    batch = work.data.train_batch([0, 0]) | {"index": torch.arange(2)}
    found = score(work.network, [batch], work.config.train.precision, Reader(work))["features"]
    return int(found.shape[1]) if found.ndim == 2 else 0


def _computed(work: Workplace) -> Features:
    precision, vectors, seconds = work.config.train.precision, {}, {}
    with MemoryWatch(work.device) as memory:
        for split in LEARNT:
            began = time.perf_counter()
            batches = work.data.token_dataloader(split, work.data.batches.micro)
            found = score(work.network, batches, precision, Reader(work))
            vectors[split] = torch.from_numpy(found["features"])
            seconds[split] = time.perf_counter() - began
    return Features(vectors, seconds, memory.description())


class Reader:
    """Looks at what reaches the head."""

    def __init__(self, work: Workplace) -> None:
        head = work.network.reader()
        assert head is not None
        self.head = head

    def __call__(self, network: Readout, batch: Batch) -> dict[str, Tensor]:
        """Return the features [batch, width]."""
        seen: list[Tensor] = []

        def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            seen.append(inputs[0])

        hook = self.head.register_forward_pre_hook(note)
        try:
            network(batch)
        finally:
            hook.remove()
        return {"features": seen[-1]}
