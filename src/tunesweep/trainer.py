"""The Lightning trainer of a point, and what watches it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping
from safetensors.torch import load_file, save_file

from tunesweep.config import RunConfig
from tunesweep.data.module import DataModule
from tunesweep.errors import StorageError
from tunesweep.methods.artefact import restore, trained_state
from tunesweep.models.readouts import Readout
from tunesweep.tasks.learner import Learner
from tunesweep.tasks.task import Task


class Stopwatch(Callback):
    """Measures training time alone, and apart from it that of scoring the select split."""

    def __init__(self, seconds: float = 0.0, epochs: int = 0, scoring: float = 0.0) -> None:
        self.seconds, self.epochs, self.scoring = seconds, epochs, scoring
        self._since: float | None = None
        self._scoring_since = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self.epochs += 1
        self.start()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock: Lightning validates before its training epoch ends."""
        self.stop(pl_module.device)
        self._scoring_since = time.perf_counter()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count what the select split took."""
        self.scoring += time.perf_counter() - self._scoring_since

    def start(self) -> None:
        """Count from now."""
        self._since = time.perf_counter()

    def stop(self, device: torch.device) -> None:
        """Count until now."""
        if device.type == "cuda":
            torch.cuda.synchronize()  # steps are queued, not done
        if self._since is not None:
            self.seconds += time.perf_counter() - self._since
        self._since = None

    @contextmanager
    def paused(self, device: torch.device) -> Iterator[None]:
        """Leave out what is done within."""
        running = self._since is not None
        self.stop(device)
        yield
        if running:
            self.start()

    def state(self) -> dict[str, Any]:
        """Return what another watch goes on from, as its arguments; while it is stopped."""
        return {"seconds": self.seconds, "epochs": self.epochs, "scoring": self.scoring}


class BestOnSelect(Callback):
    """Keeps the trained weights, and only those, of the best epoch on the select split (R10, R17).

    The file of a best epoch stays as long as a checkpoint names it.
    """

    def __init__(self, monitor: str, folder: Path, epoch: int = 0, key: list[float] | None = None) -> None:
        self.monitor, self.folder = monitor, folder
        self.epoch = self._kept = epoch
        self._best = tuple(key) if key else None

    @property
    def path(self) -> Path | None:
        """Return the file of the best epoch so far."""
        return self._path(self.epoch) if self.epoch else None

    def _path(self, epoch: int) -> Path:
        return self.folder / f"best-{epoch}.safetensors"

    def state(self) -> dict[str, Any]:
        """Return what another of these goes on from, as its arguments."""
        return {"epoch": self.epoch, "key": list(self._best or ())}

    def keep(self) -> None:
        """Note that a checkpoint names the best epoch's file, and no other."""
        self._kept = self.epoch

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """See `look`."""
        assert isinstance(pl_module, Learner)
        self.look(pl_module.history[-1], pl_module.network)

    def look(self, scores: dict[str, Any], network: Readout) -> None:
        """Save an epoch's weights when it is better; equal scores are told apart by the loss."""
        key = (-scores["loss"] if self.monitor == "loss" else scores[self.monitor], -scores["loss"])
        if self._best is None or key > self._best:
            before, self._best, self.epoch = self.epoch, key, scores["epoch"]
            self._save(trained_state(network), self._path(self.epoch))
            if before not in (0, self._kept):
                self._path(before).unlink(missing_ok=True)

    def _save(self, state: dict[str, torch.Tensor], path: Path) -> None:
        part = path.with_suffix(".part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file(state, str(part))
            part.replace(path)
        except OSError as error:
            raise StorageError(
                f"the checkpoint {path} cannot be written: {error.strerror or error}"
            ) from error

    def bring_back(self, network: Readout) -> None:
        """Go back to the best epoch."""
        restore(network, load_file(str(self.path)))


def build_trainer(
    config: RunConfig,
    device: torch.device,
    callbacks: list[Callback],
    accumulation: int,
    task: Task,
    **processes: Any,
) -> pl.Trainer:
    """Return a trainer that trains: what it would log, save or print by itself is switched off.

    `processes` are its arguments where there is more than one.
    """
    train = config.train
    if train.patience is not None:
        mode = "min" if task.monitor == "loss" else "max"
        callbacks = [*callbacks, EarlyStopping(f"select/{task.monitor}", patience=train.patience, mode=mode)]
    return pl.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        **({"devices": 1} | processes),
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
