"""The Lightning module: one for all tasks, which say what a loss is and what is watched."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from tunesweep.config import RunConfig
from tunesweep.data.batches import Batch
from tunesweep.data.module import DataModule
from tunesweep.methods import hooks
from tunesweep.models.readouts import Readout
from tunesweep.tasks.course import Course
from tunesweep.tasks.task import Task


class Learner(pl.LightningModule):
    """Learns the train split by a task's loss, and is watched on the select split."""

    def __init__(self, network: Readout, config: RunConfig, data: DataModule, task: Task) -> None:
        super().__init__()
        self.network, self.config, self.data, self.task = network, config, data, task
        self.course = Course(network, config, data, task)

    @property
    def history(self) -> list[dict[str, Any]]:
        """Return what is known of each epoch so far."""
        return self.course.history

    def training_step(self, batch: Batch, position: int) -> Tensor:
        """Return the loss of a micro-batch, weighted so that accumulation equals one large batch."""
        return self.course.take(self.task.losses(self.network, batch), batch, position)

    def validation_step(self, batch: Batch, _: int) -> None:
        """Let the task see a part of the select split."""
        self.course.see(batch, self.task.look(self.network, batch))

    def on_validation_epoch_end(self) -> None:
        """Log the select split's scores under `select/...`, and the mean train loss of the epoch."""
        scores = self.course.end_epoch(self.current_epoch + 1, self._facts)
        self.log_dict({f"select/{key}": value for key, value in scores.items()})

    def _facts(self) -> dict[str, float]:
        rate = float(self.trainer.optimizers[0].param_groups[0]["lr"])
        return {"train_loss": self._train_loss(), "lr": rate}

    def _train_loss(self) -> float:
        return self.course.train_loss()

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Let the method add to gradients that are complete and not yet clipped."""
        hooks.before_step(self.network, self.config)

    def optimizer_step(self, *arguments: Any, **named: Any) -> None:
        """Take a step, after which some methods change themselves; the gradients are still there."""
        super().optimizer_step(*arguments, **named)
        hooks.after_step(self.network, self.config, self.global_step, self._steps)

    @property
    def _steps(self) -> int:
        return int(self.trainer.estimated_stepping_batches)

    def configure_optimizers(self) -> Any:
        """Return an optimiser and a schedule stepped with it."""
        hooks.prepare(self.network, self.config, self._steps)
        optimizer, schedule = self.course.optimizer(self._steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
