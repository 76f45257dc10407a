"""Checkpoints of a group: each run has one of its own, all of one moment, for the same group alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from tunesweep import random_states, resuming
from tunesweep.attempt import failure_of
from tunesweep.checkpoint import Notes
from tunesweep.errors import EarlyExit, StorageError, TunesweepError
from tunesweep.fused.member import Member
from tunesweep.positions import begin_at, steps_per_epoch
from tunesweep.progress import say_resumed
from tunesweep.stopping import Stop
from tunesweep.training import names_of

LEARNED = "learned"  # how a run leaves that learns no more


def position(members: Sequence[Member]) -> tuple[int, int]:
    """Return epoch and step in it that all runs were kept at; the beginning, unless they all were."""
    notes = [member.work.kept for member in members]
    found = {note.position if note else (0, 0) for note in notes}
    whole = all(n is not None and n.tensors == names_of(m.work) for n, m in zip(notes, members, strict=True))
    return found.pop() if whole and len(found) == 1 else (0, 0)


class GroupKeeper(Callback):
    """Writes the checkpoints of all runs between two optimiser steps, and begins from those there are."""

    def __init__(self, members: Sequence[Member], stop: Stop, every_s: float) -> None:
        self.members, self.stop, self.every_s = members, stop, every_s
        self.position = position(members)
        self._written = time.perf_counter()
        self._states: list[tuple[torch.Tensor, ...]] | None = None  # before the select split is read

    def set_out(self, trainer: pl.Trainer) -> None:
        """Let a trainer that has not begun go on where the group was kept."""
        if self.position == (0, 0):
            return
        epoch, within = self.position
        for member in self.members:
            batches = member.work.data.batches
            begin_at(trainer, batches, epoch, within)
            assert member.work.kept
            say_resumed(member.work.config.runtime, member.work.kept.step)
            member.course.history = list(member.work.kept.history)
            member.best = type(member.best)(member.best.monitor, member.best.folder, **member.work.kept.best)
            member.work.record.resumed = [*member.work.kept.resumed, member.work.kept.step]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take signals from Lightning, which has just laid its hands on them, and take up the checkpoints."""
        self.stop.listen()
        if self.position != (0, 0):
            for member in self.members:
                self._take_up(member, pl_module.device)

    def _take_up(self, member: Member, device: torch.device) -> None:
        notes = member.work.kept
        assert notes is not None
        state = member.work.place.state(notes)
        resuming.take_up(member.course, member.optimizer, member.schedule, state, device)
        member.patience.take_up(state["early"])
        member.generator.states = (state["random"]["torch"], *state["random"]["cuda"])
        if notes.left:
            kind, sentence = notes.left
            member.active = False
            member.error = None if kind == LEARNED else _error(kind, sentence)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Keep what the next optimiser step begins from."""
        within, inside = divmod(batch_idx, self._batches.accumulation)
        if not inside:
            self._states = None
            self._between_steps(trainer, within)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Remember the random states that the score of the select split begins with."""
        if batch_idx + 1 == len(self._batches):
            self._states = [member.generator.states for member in self.members]

    def on_validation_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any, **__: Any
    ) -> None:
        """Keep an epoch whose steps are done, and whose score is still to come."""
        self._between_steps(trainer, steps_per_epoch(self._batches))

    @property
    def _batches(self) -> Any:
        return self.members[0].work.data.batches

    def _between_steps(self, trainer: pl.Trainer, within: int) -> None:
        epoch = trainer.current_epoch
        step = epoch * steps_per_epoch(self._batches) + within
        late = time.perf_counter() - self._written >= self.every_s
        if step and (epoch, within) > self.position and (late or self.stop.wanted):
            self._keep(step, epoch, within)
        if self.stop.wanted:
            kept = "goes on from there" if self.position == (epoch, within) and step else "begins it anew"
            raise self.stop.error(f"after step {step}: the same command {kept}")

    def _keep(self, step: int, epoch: int, within: int) -> None:
        """Write every run's checkpoint; where one cannot be written, all begin at the one before, or anew."""
        try:
            for run, member in enumerate(self.members):
                state = self._state(run, member)
                member.work.place.write(_notes(member, step, epoch, within), state, member.best.path)
                member.best.keep()
        except (StorageError, ValueError) as error:
            for member in self.members:
                if str(error) not in member.work.record.warnings:
                    member.work.record.warnings.append(str(error))
        else:
            self.position = (epoch, within)
        self._written = time.perf_counter()

    def _state(self, run: int, member: Member) -> dict[str, Any]:
        own = self._states[run] if self._states else member.generator.states
        states = random_states.capture() | {"torch": own[0], "cuda": list(own[1:])}
        found = resuming.state_of(member.course, member.optimizer, member.schedule, states)
        return found | {"early": member.patience.state()}


def _notes(member: Member, step: int, epoch: int, within: int) -> Notes:
    work = member.work
    left = list(failure_of(member.error)) if member.error else [LEARNED, ""]
    return Notes(
        work.run_id,
        work.config.runtime.point.command,
        names_of(work),
        step=step,
        epoch=epoch,
        within=within,
        resumed=work.record.resumed,
        history=list(member.course.history),
        best=member.best.state(),
        micro_batch=work.data.batches.micro,
        group=work.group,
        left=[] if member.active else left,
    )


def _error(kind: str, sentence: str) -> TunesweepError:
    """Return an error that stands for one of before."""
    if kind == EarlyExit.failure:
        return EarlyExit(sentence)
    found = TunesweepError(sentence)
    found.failure = kind
    return found
