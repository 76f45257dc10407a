"""What a network's training knows of itself, whoever calls its steps: losses, scores, optimiser, schedule."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from tunesweep.config import RunConfig
from tunesweep.data.batches import Batch
from tunesweep.data.module import DataModule
from tunesweep.errors import BadConfig, Diverged
from tunesweep.models.readouts import Readout
from tunesweep.scoring import collect
from tunesweep.tasks.task import Task

SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}
CHECK_EVERY = 25  # steps between looks at the loss: each look makes the host wait for the device


class Course:
    """One network learns one train split, and is watched on one select split."""

    def __init__(self, network: Readout, config: RunConfig, data: DataModule, task: Task) -> None:
        self.network, self.config, self.data, self.task = network, config, data, task
        self.history: list[dict[str, Any]] = []
        self.sums: list[Tensor] = []  # of this epoch: each example's losses
        self.terms: list[Tensor] = []  # and of how many terms each is the sum
        self._seen: list[dict[str, Tensor]] = []
        self._schedule = _get_scheduler()  # imported here, before memory is watched

    def take(self, losses: Tensor, batch: Batch, position: int) -> Tensor:
        """Note the losses [batch] of a micro-batch; return their part of the global batch's mean."""
        self.sums.append(losses.detach())
        self.terms.append(self.task.terms(batch))
        if len(self.sums) % CHECK_EVERY == 0:
            self._check_finite(*self.sums[-CHECK_EVERY:])
        return losses.sum() * self.data.batches.share(position)

    def see(self, batch: Batch, seen: dict[str, Tensor]) -> None:
        """Keep what the task sees of the select split until its end."""
        self._seen.append({"index": batch["index"].cpu()} | {key: v.float().cpu() for key, v in seen.items()})

    def end_epoch(self, epoch: int, facts: Callable[[], dict[str, float]]) -> dict[str, float]:
        """Add an epoch, counted from 1, with further facts to the history; return the select scores."""
        seen = collect(self._seen)
        self._check_finite(*self.sums, *map(torch.from_numpy, seen.values()))  # ruined after the last loss?
        scores = self.task.quick(seen, self.data.labels["select"])
        self.history.append({"epoch": epoch} | facts() | scores)
        self.sums, self.terms, self._seen = [], [], []
        return scores

    def train_loss(self) -> float:
        """Return the mean loss per term of the epoch."""
        return float(torch.cat(self.sums).sum() / torch.cat(self.terms).sum())

    def _check_finite(self, *tensors: Tensor) -> None:
        if not torch.isfinite(torch.cat([tensor.flatten().float() for tensor in tensors])).all():
            rate = self.config.train.lr
            raise Diverged(f"the loss is not finite at train.lr={rate}: lower the rate or set train.clip")

    def losses(self) -> dict[str, Any]:
        """Return the losses of this epoch so far, and of how many terms each is the sum."""
        sizes = [len(part) for part in self.sums]
        return {"sizes": sizes, "sums": _joined(self.sums), "terms": _joined(self.terms)}

    def take_up(self, losses: dict[str, Any], device: torch.device) -> None:
        """Go on with an epoch whose first losses are known."""
        self.sums, self.terms = (
            list(losses[name].to(device).split(losses["sizes"])) for name in ("sums", "terms")
        )

    def optimizer(self, steps: int) -> tuple[torch.optim.Optimizer, Any]:
        """Return an optimiser, and a schedule over so many steps."""
        train = self.config.train
        assert train.lr is not None
        optimizer = OPTIMIZERS[train.optimizer](self._groups(train.weight_decay), train.lr)
        warmup = round(steps * (train.warmup or 0.0))
        return optimizer, self._schedule(SCHEDULES[train.schedule], optimizer, warmup, steps)

    def _groups(self, decay: float) -> list[dict[str, Any]]:
        """Decay matrices only: biases and norms have no scale to keep small."""
        trained = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
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
