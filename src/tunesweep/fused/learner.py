"""The Lightning module of a group: one pass for all, and for each run its own losses and optimiser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
from torch import Tensor
from torch.utils.data import DataLoader

from tunesweep.data.batches import Batch
from tunesweep.errors import TunesweepError
from tunesweep.fused import exits
from tunesweep.fused.carrier import carrier
from tunesweep.fused.layout import Generator, Layout, width
from tunesweep.fused.member import Member
from tunesweep.fused.passes import passes
from tunesweep.positions import steps_per_epoch


class OwnedLoader(DataLoader[Any]):
    """A loader of one run or of several: to begin it draws, and each owner draws as it would alone.

    Lightning begins a DataLoader once an epoch, and anything else once more to see whether it can.
    """

    owners: Sequence[Generator]

    def __iter__(self) -> Any:
        for owner in self.owners:
            with owner.drawing():
                found = super().__iter__()
        return found


def _owned(loader: DataLoader[Any], owners: Sequence[Member]) -> OwnedLoader:
    found = OwnedLoader(loader.dataset, batch_sampler=loader.batch_sampler, collate_fn=loader.collate_fn)
    found.owners = [member.generator for member in owners]
    return found


def train_loaders(members: Sequence[Member]) -> list[OwnedLoader]:
    """Return the batches of every run, which Lightning hands over side by side."""
    return [_owned(member.work.data.train_dataloader(), [member]) for member in members]


def select_loader(members: Sequence[Member]) -> OwnedLoader:
    """Return the select split, which is the same for all, a part of a batch at a time: every run reads it."""
    work = members[0].work
    size = max(1, work.config.runtime.eval_batch_size // len(members))
    return _owned(work.data.select_dataloader(size), members)


class NobodyLeft(Exception):
    """Every run has failed, or learns no more."""


class GroupLearner(pl.LightningModule):
    """Trains several runs at once: rows of each go through its own version of every layer that it changed."""

    def __init__(self, members: Sequence[Member], frame: Any) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.members, first = list(members), members[0].work
        self.task, self.data = first.task, first.data
        self.pad = 0 if first.data.tokenizer is None else first.data.tokenizer.pad_token_id
        self.layout = Layout([member.generator for member in members])
        self.network = carrier(frame, [member.work.network for member in members], self.layout)

    @property
    def active(self) -> list[Member]:
        """Return who is still in the group."""
        return [member for member in self.members if member.active]

    def configure_optimizers(self) -> None:
        """Let every run have its own; Lightning is to know of none."""
        steps = int(self.trainer.max_epochs or 0) * steps_per_epoch(self.data.batches)
        for member in self.members:
            member.begin(steps)

    def training_step(self, batches: list[Batch], position: int) -> None:
        """Learn from a micro-batch of each run; at the end of a global batch everybody takes a step."""
        active = [run for run, member in enumerate(self.members) if member.active]
        sizes = [(len(batches[run]["index"]), width(batches[run])) for run in active]
        for part in passes(sizes, self.data.batches.widest, self.device.type):
            together = {active[place] for place in part}
            self._learn([b if run in together else None for run, b in enumerate(batches)], position)
        if (position + 1) % self.data.batches.accumulation == 0 or position + 1 == len(self.data.batches):
            for member in self.active:
                member.step()
        self._go_on()

    def _learn(self, taken: list[Batch | None], position: int) -> None:
        """Add to the gradients of some runs, in one pass."""
        whole = self.layout.merge(taken, self.pad)
        losses = self.layout.split(self.task.losses(self.network, whole))
        parts = [
            self._part(member, own, batch, position)
            for member, own, batch in zip(self.members, losses, taken, strict=True)
            if batch is not None
        ]
        if found := [part for part in parts if part is not None]:
            self.manual_backward(sum(found[1:], found[0]))

    def _go_on(self) -> None:
        if not self.active:
            raise NobodyLeft

    def _part(self, member: Member, losses: Tensor, batch: Batch, position: int) -> Tensor | None:
        """Return what a run's losses add to the sum that is differentiated; nothing of one that diverged."""
        try:
            share = member.course.take(losses, batch, position)
        except TunesweepError as error:
            member.leave(error)
            return None
        return share / self.data.batches.accumulation

    def validation_step(self, batch: Batch, _: int) -> None:
        """Let every run see a part of the select split."""
        taken = [batch if member.active else None for member in self.members]
        seen = self.task.look(self.network, self.layout.merge(taken, self.pad))
        parts = {key: self.layout.split(value) for key, value in seen.items()}
        for run, member in enumerate(self.members):
            if member.active:
                member.course.see(batch, {key: values[run] for key, values in parts.items()})

    def on_validation_epoch_end(self) -> None:
        """Let every run take note of its epoch; who learns no more leaves, and on a rung who is behind."""
        for member in self.active:
            member.end_epoch(self.current_epoch + 1)
        exits.let_go(self.members, self.current_epoch + 1, int(self.trainer.max_epochs or 1))

    def on_train_epoch_start(self) -> None:
        """Begin no epoch with nobody to learn."""
        self._go_on()
