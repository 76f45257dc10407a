"""What a task is to the learner and to the stages: losses to learn by, looks to watch, a final score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from tunesweep.config import RunConfig
from tunesweep.data.batches import Batch
from tunesweep.data.module import Answers, DataModule
from tunesweep.errors import require
from tunesweep.models.readouts import Readout
from tunesweep.scoring import Ask, Seen, score


@dataclass
class Scored:
    """The final score of a network: metrics, and what each example adds to them."""

    metrics: dict[str, Any]  # `n`, the metric that tables compare, its `interval`, and others
    columns: dict[str, Any] = field(default_factory=dict)  # of the file of predictions, beside the ids
    seen: Seen = field(default_factory=dict)  # what was seen without labels


class Task(ABC):
    """One kind of question put to a network."""

    metric: str  # the score that tables compare
    higher: bool = True  # whether more of it is better
    monitors: tuple[str, ...]  # what can be watched on the select split; the first is what `auto` means

    def __init__(self, config: RunConfig, data: DataModule) -> None:
        self.config, self.data = config, data
        require(config.train.monitor, ("auto", *self.monitors), "train.monitor")

    @abstractmethod
    def losses(self, network: Readout, batch: Batch) -> Tensor:
        """Return each example's summed losses [batch], in nats."""

    @abstractmethod
    def terms(self, batch: Batch) -> Tensor:
        """Return how many losses each example is the sum of [batch]."""

    @abstractmethod
    def look(self, network: Readout, batch: Batch) -> dict[str, Tensor]:
        """Return what one forward pass says of each example, [batch, ...]; labels may be absent."""

    @abstractmethod
    def quick(self, seen: Seen, labels: np.ndarray | None) -> dict[str, float]:
        """Return what is watched on the select split, `loss` among it."""

    @abstractmethod
    def evaluate(self, network: Readout, ask: Ask = score) -> Scored:
        """Score the test split as far as that needs no labels; `ask` sees what forward passes say."""

    @abstractmethod
    def judge(self, scored: Scored, answers: Answers) -> Scored:
        """Add what needs the labels: the metrics of a row, and the columns of its predictions."""

    @abstractmethod
    def probabilities(self, seen: Seen) -> np.ndarray:
        """Return numbers in 0..1 [n, k] that must not depend on batch size, padding or a reload."""

    @abstractmethod
    def protocol(self) -> dict[str, Any]:
        """Return how the metric is measured: rows of one block agree in it (R15, R18)."""

    @property
    def monitor(self) -> str:
        """Return what the best epoch is chosen by."""
        wanted = self.config.train.monitor
        return self.monitors[0] if wanted == "auto" else wanted
