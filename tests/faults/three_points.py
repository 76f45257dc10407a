"""The sweep of three points into which faults are put."""

from __future__ import annotations

from collections.abc import Callable

from omegaconf import DictConfig

from command_line import CommandLine, Outcome
from tunesweep import train
from tunesweep.record import RunRecord

POINTS = (
    *("model=logistic", "method=full", "dataset=digits", "train.batch_size=16", "train.epochs=2"),
    *("dataset.limit.train=64", "dataset.limit.test=64", "dataset.limit.select=32", "seed=0,1,2"),
    *("runtime.device=cpu", "runtime.threads=1", "runtime.progress=false", "train.precision=fp32"),
)
FAULTY = 1  # the seed of the point that a fault hits
SAME = ("metrics", "history", "parameters", "data", "artefacts")
Undisturbed = dict[int, RunRecord]


class RealCommandLine(CommandLine):
    """The command line with everything real; without a launcher of its own it trains in this process."""

    def __call__(self, *words: str) -> Outcome:
        """Carry out the sweep."""
        launcher = () if any("launcher" in word for word in words) else ("hydra/launcher=basic",)
        return super().__call__(*POINTS, *words, *launcher)

    def _job(self, outcome: Outcome) -> Callable[[DictConfig], float | None]:
        return train.train

    def records(self) -> dict[int, RunRecord]:
        """Return the records by seed."""
        return {record.config["seed"]: record for record in self.store.records()}

    def failure(self, seed: int = FAULTY) -> dict[str, str]:
        """Return what a record says of its failure; the points beside it must have succeeded."""
        records = self.records()
        assert {s: r.status for s, r in records.items() if s != seed} == {0: "succeeded", 2: "succeeded"}
        assert records[seed].status == "failed"
        return records[seed].failure or {}
