"""Keeps a run so that it can go on later: when time has passed, and when training is asked to stop."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from tunesweep import random_states
from tunesweep.attempt import failure_class
from tunesweep.checkpoint import Notes, Place
from tunesweep.errors import StorageError
from tunesweep.memory import MemoryWatch
from tunesweep.methods import artefact, hooks
from tunesweep.positions import steps_per_epoch
from tunesweep.stopping import Stop
from tunesweep.tasks.course import Course
from tunesweep.tasks.learner import Learner
from tunesweep.trainer import BestOnSelect, Stopwatch


@dataclass
class Watches:
    """What looks at a training while it goes on."""

    time: Stopwatch
    best: BestOnSelect
    memory: MemoryWatch
    stop: Stop


class Keeper(Callback):
    """Writes checkpoints between optimiser steps, and begins from the one of its `notes`.

    A checkpoint that cannot be written is a warning: what it would have saved is time.
    """

    def __init__(
        self, place: Place, notes: Notes, watches: Watches, every_s: float, warnings: list[str]
    ) -> None:
        self.place, self.notes, self.watches = place, notes, watches
        self.every_s, self.warnings = every_s, warnings
        self.validating = False  # when an error came
        self._earlier = notes  # what came before this attempt
        self._began = self._written = time.perf_counter()
        self._random: random_states.States | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take signals from Lightning, which has just laid its hands on them, and take up a checkpoint."""
        assert isinstance(pl_module, Learner)
        self.watches.stop.listen()
        if not self.notes.step:
            return
        with self.watches.memory.unwatched():
            _restore(trainer, pl_module, self.place.state(self.notes))
        if self.notes.within < steps_per_epoch(pl_module.data.batches):
            self.watches.time.start()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Keep what the next optimiser step begins from; between its micro-batches there is no stopping."""
        assert isinstance(pl_module, Learner)
        within, inside = divmod(batch_idx, pl_module.data.batches.accumulation)
        if not inside:
            self._random = None
            self._between_steps(trainer, pl_module, within)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Remember the random states that the score of the select split begins with."""
        assert isinstance(pl_module, Learner)
        if batch_idx + 1 == len(pl_module.data.batches):
            self._random = random_states.capture()

    def on_validation_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any, **__: Any
    ) -> None:
        """Keep an epoch whose steps are done, and whose score is still to come."""
        assert isinstance(pl_module, Learner)
        self._between_steps(trainer, pl_module, steps_per_epoch(pl_module.data.batches))

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Remember what was being done, and that an epoch's steps are done where its score failed."""
        assert isinstance(pl_module, Learner)
        self.validating = bool(trainer.validating)
        if self.validating and failure_class(exception) == "out_of_memory":
            steps = steps_per_epoch(pl_module.data.batches)
            self._keep_at(trainer, pl_module, steps)

    def _between_steps(self, trainer: pl.Trainer, learner: Learner, within: int) -> None:
        stop = self.watches.stop
        if stop.wanted or time.perf_counter() - self._written >= self.every_s:
            self._keep_at(trainer, learner, within)
        if stop.wanted:
            step = trainer.current_epoch * steps_per_epoch(learner.data.batches) + within
            raise stop.error(_where(step, self.notes.step))

    def _keep_at(self, trainer: pl.Trainer, learner: Learner, within: int) -> None:
        """Write a checkpoint, unless there is one of this place, or nothing to keep."""
        epoch = trainer.current_epoch
        step = epoch * steps_per_epoch(learner.data.batches) + within
        if step and (epoch, within) > self.notes.position:
            self._keep(self._now(learner, step=step, epoch=epoch, within=within), trainer, learner)

    def _keep(self, notes: Notes, trainer: pl.Trainer, learner: Learner) -> None:
        """Write a checkpoint; neither its time nor its memory is the training's."""
        with self.watches.time.paused(learner.device), self.watches.memory.unwatched():
            notes = replace(notes, watch=self.watches.time.state())
            self._put(notes, _state(trainer, learner, self._random))
        self._written = time.perf_counter()

    def _put(self, notes: Notes, state: dict[str, Any] | None) -> None:
        try:
            self.place.write(notes, state, self.watches.best.path)
        except (StorageError, ValueError) as error:  # the latter of a score that is no number
            self._warn(str(error))
            return
        self.notes = notes
        self.watches.best.keep()

    def finish(self, learner: Learner) -> Notes:
        """Keep a training that has ended: what is left is to score the weights of its best epoch."""
        steps = learner.trainer.global_step
        notes = self._now(learner, step=steps, epoch=len(learner.history), within=0, finished=True)
        self._put(notes, None)
        self.watches.best.bring_back(learner.network)
        if self.watches.stop.wanted:
            raise self.watches.stop.error(_where(steps, self.notes.step))
        return notes

    def _warn(self, sentence: str) -> None:
        if sentence not in self.warnings:
            self.warnings.append(sentence)

    def _now(self, learner: Learner, **place: Any) -> Notes:
        """Return notes of this moment."""
        minutes = self._earlier.minutes + (time.perf_counter() - self._began) / 60
        return replace(
            self._earlier,
            history=list(learner.history),
            watch=self.watches.time.state(),
            best=self.watches.best.state(),
            memory=largest(self._earlier.memory, self.watches.memory.description()),
            minutes=minutes,
            **place,
        )


def largest(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return the larger of every number, as long as both were measured in one way."""
    if one.get("memory_how") != other["memory_how"]:
        return other
    return {key: max(one.get(key, value), value) for key, value in other.items()}


def _where(step: int, kept: int) -> str:
    if not kept:
        return f"after step {step}: the same command begins it anew"
    place = "there" if kept == step else f"step {kept}"
    return f"after step {step}: the same command goes on from {place}"


def _state(trainer: pl.Trainer, learner: Learner, states: random_states.States | None) -> dict[str, Any]:
    early = trainer.early_stopping_callback
    schedule = trainer.lr_scheduler_configs[0].scheduler
    found = state_of(learner.course, trainer.optimizers[0], schedule, states or random_states.capture())
    return found | {"early": early.state_dict() if early else {}}


def state_of(course: Course, optimizer: Any, schedule: Any, states: random_states.States) -> dict[str, Any]:
    """Return all that the next step depends on; tensors are those of the training, not copies."""
    return {
        "weights": {n: p.detach() for n, p in course.network.named_parameters() if p.requires_grad},
        "optimizer": optimizer.state_dict(),
        "scheduler": schedule.state_dict(),
        "losses": course.losses(),
        "hook": hooks.state(course.network, course.config),
        "random": states,
    }


def _restore(trainer: pl.Trainer, learner: Learner, state: dict[str, Any]) -> None:
    """Put everything back; random states last, because anything before may draw."""
    schedule = trainer.lr_scheduler_configs[0].scheduler
    take_up(learner.course, trainer.optimizers[0], schedule, state, learner.device)
    if early := trainer.early_stopping_callback:
        early.load_state_dict(state["early"])
    random_states.restore(state["random"])


def take_up(
    course: Course, optimizer: Any, schedule: Any, state: dict[str, Any], device: torch.device
) -> None:
    """Put back what `state_of` returned, all but the random states."""
    artefact.restore(course.network, state["weights"])
    optimizer.load_state_dict(state["optimizer"])
    schedule.load_state_dict(state["scheduler"])
    course.take_up(state["losses"], device)
    hooks.take_up(course.network, course.config, state["hook"])
