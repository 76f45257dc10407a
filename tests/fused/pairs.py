"""The same points twice: trained together, and each alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas
import torch
from safetensors.torch import load_file

from tunesweep import identity
from tunesweep.config import WORKER, RunConfig
from tunesweep.fused import carry
from tunesweep.point import run
from tunesweep.record import RunRecord
from tunesweep.store import Store

__all__ = ["Side", "Store", "alone", "both", "points", "together"]
Make = Callable[..., RunConfig]


@dataclass
class Side:
    """What one way of training left."""

    store: Path
    records: list[RunRecord]

    def predictions(self, place: int) -> dict[str, str]:
        """Return what a run predicts, by example."""
        found = pandas.read_parquet(self.store / self.records[place].artefacts["predictions"])
        return dict(zip(found["id"], found["prediction"], strict=True))

    def weights(self, place: int) -> dict[str, torch.Tensor]:
        """Return all that a run has saved of its weights."""
        folder = self.store / self.records[place].artefacts["adapter"]
        return {
            f"{path.name} {name}": tensor
            for path in sorted(folder.glob("*.safetensors"))
            for name, tensor in load_file(path).items()
        }


def points(make: Make, store: Path, shared: Sequence[str], runs: Sequence[str]) -> list[RunConfig]:
    """Return points as planning leaves them: shared words, and a line of words of each."""
    found = []
    for line in runs:
        config = make(f"runtime.store={store}", "runtime.fuse=auto", *shared, *line.split())
        config.runtime.point.executor = WORKER
        identity.identify(config)
        config.runtime.point.name = line
        found.append(config)
    return found


def together(configs: Sequence[RunConfig]) -> Side:
    """Train a group, and let each point then take its record, as a worker does."""
    carry.carry_out(configs)
    return alone(configs)


def alone(configs: Sequence[RunConfig]) -> Side:
    """Carry out each point by itself."""
    return Side(Path(configs[0].runtime.store), [run(config) for config in configs])


def both(make: Make, folder: Path, shared: Sequence[str], runs: Sequence[str]) -> tuple[Side, Side]:
    """Return the two ways, each in a store of its own."""
    fused, separate = (points(make, folder / name, shared, runs) for name in ("fused", "alone"))
    return together(fused), alone(separate)
