"""The Lightning module: one for all tasks, which say what a loss is and what is watched."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from tunesweep.config import RunConfig
from tunesweep.data.batches import Batch
from tunesweep.data.module import DataModule
from tunesweep.errors import BadConfig, Diverged
from tunesweep.methods import hooks
from tunesweep.models.readouts import Readout
from tunesweep.scoring import collect
from tunesweep.tasks.task import Task

SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}
CHECK_EVERY = 25  # steps between looks at the loss: each look makes the host wait for the device


class Learner(pl.LightningModule):
    """Learns the train split by a task's loss, and is watched on the select split."""

    def __init__(self, network: Readout, config: RunConfig, data: DataModule, task: Task) -> None:
        super().__init__()
        self.network, self.config, self.data, self.task = network, config, data, task
        self.history: list[dict[str, Any]] = []
        self._sums: list[Tensor] = []
        self._terms: list[Tensor] = []
        self._seen: list[dict[str, Tensor]] = []
        self._schedule = _get_scheduler()  # imported here, before memory is watched

    def training_step(self, batch: Batch, position: int) -> Tensor:
        """Return the loss of a micro-batch, weighted so that accumulation equals one large batch."""
        losses = self.task.losses(self.network, batch)
        self._sums.append(losses.detach())
        self._terms.append(self.task.terms(batch))
        if len(self._sums) % CHECK_EVERY == 0:
            self._check_finite(*self._sums[-CHECK_EVERY:])
        return losses.sum() * self.data.batches.share(position)

    def validation_step(self, batch: Batch, _: int) -> None:
        """Keep what the task sees of the select split until its end."""
        seen = self.task.look(self.network, batch)
        self._seen.append({"index": batch["index"].cpu()} | {key: v.float().cpu() for key, v in seen.items()})

    def on_validation_epoch_end(self) -> None:
        """Log the select split's scores under `select/...`, and the mean train loss of the epoch."""
        seen = collect(self._seen)
        self._check_finite(*self._sums, *map(torch.from_numpy, seen.values()))  # ruined after the last loss?
        scores = self.task.quick(seen, self.data.labels["select"])
        epoch = {"epoch": self.current_epoch + 1, "train_loss": self._train_loss(), "lr": self._rate()}
        self.history.append(epoch | scores)
        self.log_dict({f"select/{key}": value for key, value in scores.items()})
        self._sums, self._terms, self._seen = [], [], []

    def _train_loss(self) -> float:
        return float(torch.cat(self._sums).sum() / torch.cat(self._terms).sum())

    def _rate(self) -> float:
        return float(self.trainer.optimizers[0].param_groups[0]["lr"])

    def _check_finite(self, *tensors: Tensor) -> None:
        if not torch.isfinite(torch.cat([tensor.flatten().float() for tensor in tensors])).all():
            rate = self.config.train.lr
            raise Diverged(f"the loss is not finite at train.lr={rate}: lower the rate or set train.clip")

    def losses(self) -> dict[str, Any]:
        """Return the losses of this epoch so far, and of how many terms each is the sum."""
        sizes = [len(part) for part in self._sums]
        return {"sizes": sizes, "sums": _joined(self._sums), "terms": _joined(self._terms)}

    def take_up(self, losses: dict[str, Any]) -> None:
        """Go on with an epoch whose first losses are known."""
        self._sums, self._terms = (
            list(losses[name].to(self.device).split(losses["sizes"])) for name in ("sums", "terms")
        )

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
        train = self.config.train
        assert train.lr is not None
        hooks.prepare(self.network, self.config, self._steps)
        optimizer = OPTIMIZERS[train.optimizer](self._groups(train.weight_decay), train.lr)
        scheduler = self._schedule(
            SCHEDULES[train.schedule], optimizer, round(self._steps * (train.warmup or 0.0)), self._steps
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _groups(self, decay: float) -> list[dict[str, Any]]:
        """Decay matrices only: biases and norms have no scale to keep small."""
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        matrices = [parameter for parameter in trained if parameter.ndim > 1]
        others = [parameter for parameter in trained if parameter.ndim <= 1]
        return [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


def _joined(parts: list[Tensor]) -> Tensor:
    return torch.cat(parts) if parts else torch.empty(0)


def _get_scheduler() -> Callable[..., Any]:
    from transformers import get_scheduler

    found: Callable[..., Any] = get_scheduler
    return found


def _adamw(groups: list[dict[str, Any]], lr: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=lr)


def _eight_bit(groups: list[dict[str, Any]], lr: float, paged: bool = False) -> torch.optim.Optimizer:
    """Return AdamW with states of 8 bits (arXiv:2110.02861), on request in pages that may leave the GPU."""
    import bitsandbytes

    if paged and not torch.cuda.is_available():
        raise BadConfig(
            "train.optimizer=paged_adamw_8bit moves pages between GPU and host, and there is no GPU here: "
            "use adamw_8bit or adamw"
        )
    kind = bitsandbytes.optim.PagedAdamW8bit if paged else bitsandbytes.optim.AdamW8bit
    optimizer: torch.optim.Optimizer = kind(groups, lr=lr)
    return optimizer


OPTIMIZERS: dict[str, Callable[[list[dict[str, Any]], float], torch.optim.Optimizer]] = {
    "adamw": _adamw,
    "adamw_8bit": _eight_bit,
    "paged_adamw_8bit": partial(_eight_bit, paged=True),
}
