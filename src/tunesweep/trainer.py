"""The Lightning trainer of a point, and what watches it."""

from __future__ import annotations

import time
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping
from safetensors.torch import load_file, save_file

from tunesweep.config import RunConfig
from tunesweep.data.module import DataModule
from tunesweep.errors import StorageError
from tunesweep.methods.artefact import restore, trained_state
from tunesweep.tasks.learner import Learner
from tunesweep.tasks.task import Task


class Stopwatch(Callback):
    """Measures training time alone: validation and what else happens between epochs is not counted."""

    def __init__(self) -> None:
        self.seconds, self.epochs = 0.0, 0
        self._since = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._since, self.epochs = time.perf_counter(), self.epochs + 1

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock: Lightning validates before its training epoch ends."""
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize()  # steps are queued, not done
        self.seconds += time.perf_counter() - self._since


class BestOnSelect(Callback):
    """Keeps the trained weights, and only those, of the best epoch on the select split (R10, R17)."""

    def __init__(self, monitor: str, path: Path) -> None:
        self.monitor, self.path = monitor, path
        self.epoch = 0
        self._best: tuple[float, float] | None = None

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save when better; equal scores are told apart by the loss."""
        assert isinstance(pl_module, Learner)
        scores = pl_module.history[-1]
        key = (-scores["loss"] if self.monitor == "loss" else scores[self.monitor], -scores["loss"])
        if self._best is None or key > self._best:
            self._best, self.epoch = key, scores["epoch"]
            self._save(trained_state(pl_module.network))

    def _save(self, state: dict[str, torch.Tensor]) -> None:
        part = self.path.with_suffix(".part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            save_file(state, str(part))
            part.replace(self.path)
        except OSError as error:
            raise StorageError(
                f"the checkpoint {self.path} cannot be written: {error.strerror or error}"
            ) from error

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Go back to the best epoch, and leave no file behind."""
        assert isinstance(pl_module, Learner)
        restore(pl_module.network, load_file(str(self.path)))
        self.path.unlink()


def build_trainer(
    config: RunConfig, device: torch.device, callbacks: list[Callback], accumulation: int, task: Task
) -> pl.Trainer:
    """Return a trainer that trains: what it would log, save or print by itself is switched off."""
    train = config.train
    if train.patience is not None:
        mode = "min" if task.monitor == "loss" else "max"
        callbacks = [*callbacks, EarlyStopping(f"select/{task.monitor}", patience=train.patience, mode=mode)]
    return pl.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1,
        precision="bf16-mixed" if train.precision == "bf16" else "32-true",
        max_epochs=train.epochs,
        accumulate_grad_batches=accumulation,
        gradient_clip_val=train.clip,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,  # it would count as a validation before the first epoch
        use_distributed_sampler=False,
    )


def fit(trainer: pl.Trainer, learner: Learner, data: DataModule) -> None:
    """Train; `from_pretrained` leaves a model in eval mode, where dropout would never run."""
    learner.train()
    trainer.fit(learner, train_dataloaders=data.train_dataloader(), val_dataloaders=data.val_dataloader())
