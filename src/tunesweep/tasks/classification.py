"""Classification, whatever the readout: a batch in, logits out, cross-entropy between them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from tunesweep import metrics
from tunesweep.config import TrainConfig
from tunesweep.data.batches import Batch
from tunesweep.data.module import DataModule
from tunesweep.errors import Diverged
from tunesweep.models.readouts import Readout

SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}
CHECK_EVERY = 25  # steps between looks at the loss: each look makes the host wait for the device


class Classification(pl.LightningModule):
    """Learns the classes of the train split and is watched on the select split."""

    def __init__(self, network: Readout, train: TrainConfig, data: DataModule) -> None:
        super().__init__()
        self.network, self.train_config, self.batches = network, train, data.batches
        weights = class_weights(train, data)
        self.register_buffer("class_weights", weights, persistent=False)
        self.history: list[dict[str, Any]] = []
        self._losses: list[Tensor] = []
        self._outputs: list[tuple[Tensor, Tensor]] = []

    def training_step(self, batch: Batch, position: int) -> Tensor:
        """Return the loss of a micro-batch, weighted so that accumulation equals one large batch."""
        losses = self._step(batch)[1]
        self._losses.append(losses.detach())
        if len(self._losses) % CHECK_EVERY == 0:
            self._check_finite(*self._losses[-CHECK_EVERY:])
        return losses.mean() * self.batches.share(position, len(batch["index"]))

    def validation_step(self, batch: Batch, _: int) -> None:
        """Keep logits and labels of the select split until its end."""
        logits, _losses = self._step(batch)
        self._outputs.append((logits.float().cpu(), batch["labels"].cpu()))

    def _step(self, batch: Batch) -> tuple[Tensor, Tensor]:
        logits: Tensor = self.network(batch)
        labels, weights = batch["labels"], self.class_weights
        assert weights is None or isinstance(weights, Tensor)
        losses = cross_entropy(logits.float(), labels, reduction="none")
        return logits, losses if weights is None else losses * weights[labels]

    def on_validation_epoch_end(self) -> None:
        """Log the select split's scores under `select/...`, and the mean train loss of the epoch."""
        logits, labels = (torch.cat(part) for part in zip(*self._outputs, strict=True))
        self._check_finite(*self._losses, logits)  # the last step may have ruined the weights after its loss
        scores = metrics.quick(logits.numpy(), labels.numpy())
        train_loss = float(torch.cat(self._losses).mean())
        self.history.append(
            {"epoch": self.current_epoch + 1, "train_loss": train_loss, "lr": self._rate()} | scores
        )
        self.log_dict({f"select/{key}": value for key, value in scores.items()})
        self._losses, self._outputs = [], []

    def _rate(self) -> float:
        return float(self.trainer.optimizers[0].param_groups[0]["lr"])

    def _check_finite(self, *tensors: Tensor) -> None:
        if not torch.isfinite(torch.cat([tensor.flatten().float() for tensor in tensors])).all():
            rate = self.train_config.lr
            raise Diverged(f"the loss is not finite at train.lr={rate}: lower the rate or set train.clip")

    def configure_optimizers(self) -> Any:
        """Return AdamW and a schedule stepped with it."""
        from transformers import get_scheduler

        train = self.train_config
        assert train.lr is not None
        optimizer = torch.optim.AdamW(self._groups(train.weight_decay), lr=train.lr)
        steps = int(self.trainer.estimated_stepping_batches)
        scheduler = get_scheduler(
            SCHEDULES[train.schedule], optimizer, round(steps * (train.warmup or 0.0)), steps
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _groups(self, decay: float) -> list[dict[str, Any]]:
        """Decay matrices only: biases and norms have no scale to keep small."""
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        matrices = [parameter for parameter in trained if parameter.ndim > 1]
        others = [parameter for parameter in trained if parameter.ndim <= 1]
        return [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


def class_weights(train: TrainConfig, data: DataModule) -> Tensor | None:
    """Return n / (classes * count) per class [classes], whose mean over the train split is one."""
    if train.class_weights is None:
        return None
    counts = np.bincount(data.labels["train"], minlength=len(data.names))
    return torch.tensor(counts.sum() / (len(counts) * counts.clip(min=1)), dtype=torch.float32)
