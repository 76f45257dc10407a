"""Classification, where every class has a logit: cross-entropy between logits and labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from tunesweep import metrics, preferences
from tunesweep.config import RunConfig, TrainConfig
from tunesweep.data.batches import Batch
from tunesweep.data.module import Answers, DataModule
from tunesweep.models.readouts import Readout
from tunesweep.scoring import Ask, Seen, score
from tunesweep.stats.proportion import wilson
from tunesweep.tasks.task import Scored, Task


class Classification(Task):
    """The readouts `head`, `linear` and `label_words`, and the reference models."""

    metric = "accuracy"
    monitors = ("accuracy", "macro_f1", "loss")

    def __init__(self, config: RunConfig, data: DataModule) -> None:
        super().__init__(config, data)
        self.class_weights = class_weights(config.train, data)

    def losses(self, network: Readout, batch: Batch) -> Tensor:
        """Return the cross-entropies [batch], weighted by class where that is wanted."""
        labels = batch["labels"]
        losses = cross_entropy(network(batch).float(), labels, reduction="none")
        if self.class_weights is None:
            return losses
        self.class_weights = self.class_weights.to(losses.device)
        return losses * self.class_weights[labels]

    def terms(self, batch: Batch) -> Tensor:
        """Return ones [batch]."""
        return torch.ones_like(batch["index"])

    def look(self, network: Readout, batch: Batch) -> dict[str, Tensor]:
        """Return logits [batch, classes]."""
        return {"logits": network(batch)}

    def quick(self, seen: Seen, labels: np.ndarray | None) -> dict[str, float]:
        """Return accuracy, macro_f1 and loss."""
        assert labels is not None
        return metrics.quick(seen["logits"], labels)

    def evaluate(self, network: Readout, ask: Ask = score) -> Scored:
        """Return logits of the test split; of pairs of responses in either order."""
        precision = self.config.train.precision
        seen = ask(network, self.data.test_dataloader(), precision, self.look)
        if self.config.dataset.swap:
            other = ask(network, self.data.swapped_test_dataloader(), precision, self.look)
            seen["swapped"] = other["logits"]
        return Scored({}, seen=seen)

    def judge(self, scored: Scored, answers: Answers) -> Scored:
        """Add accuracy and its company, and the predictions."""
        labels, logits, names = np.asarray(answers), scored.seen["logits"], self.data.names
        found = metrics.full(logits, labels, names)
        found["interval"] = list(wilson(round(found["accuracy"] * len(labels)), len(labels)))
        if "swapped" in scored.seen:
            found |= self._orders(logits, scored.seen["swapped"])
        probability = metrics.probabilities(logits)
        columns = {
            "label": [names[i] for i in labels],
            "prediction": [names[i] for i in logits.argmax(axis=1)],
            "loss": metrics.losses(logits, labels),
        }
        columns |= {f"p:{name}": probability[:, i] for i, name in enumerate(names)}
        return Scored(found, columns, scored.seen)

    def _orders(self, logits: np.ndarray, swapped: np.ndarray) -> dict[str, float]:
        """Return what the order in which two responses stand does to predictions."""
        names, swap = self.data.names, self.config.dataset.swap
        assert swap is not None
        one, other = ([names[i] for i in part.argmax(axis=1)] for part in (logits, swapped))
        return {
            "order_consistency": preferences.order_consistency(one, other, swap),
            "position_bias": preferences.position_bias(one, other, swap),
        }

    def probabilities(self, seen: Seen) -> np.ndarray:
        """Return the probability of every class [n, classes]."""
        return metrics.probabilities(seen["logits"])

    def protocol(self) -> dict[str, Any]:
        """Return accuracy; how classes are read off is a column, not another measure."""
        return {"metric": self.metric}


def class_weights(train: TrainConfig, data: DataModule) -> Tensor | None:
    """Return n / (classes * count) per class [classes], whose mean over the train split is one."""
    if train.class_weights is None:
        return None
    labels = data.labels["train"]
    assert labels is not None
    counts = np.bincount(labels, minlength=len(data.names))
    return torch.tensor(counts.sum() / (len(counts) * counts.clip(min=1)), dtype=torch.float32)
