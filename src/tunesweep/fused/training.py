"""A group's training, from its beginning or where it was kept, to the best epoch's weights of each run."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from tunesweep.fused.keeping import GroupKeeper
from tunesweep.fused.learner import GroupLearner, NobodyLeft, select_loader, train_loaders
from tunesweep.fused.member import Member
from tunesweep.models.readouts import Readout
from tunesweep.progress import say_epoch, title
from tunesweep.stopping import Stop
from tunesweep.trainer import build_trainer


class Lines(Callback):
    """One line an epoch for every run."""

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print what the epoch brought."""
        assert isinstance(pl_module, GroupLearner)
        for member in pl_module.members:
            history, runtime = member.course.history, member.work.config.runtime
            if runtime.progress and history and history[-1]["epoch"] == trainer.current_epoch + 1:
                say_epoch(title(runtime.point), member.course, trainer.max_epochs)


def learn(members: Sequence[Member], frame: Readout) -> GroupLearner:
    """Train; afterwards every run has the weights of its best epoch, or an error."""
    work = members[0].work
    learner = GroupLearner(members, frame)
    stop = Stop(None, work.began)
    keeper = GroupKeeper(members, stop, work.config.runtime.checkpoint_minutes * 60)
    # Clipping and patience are each run's own, and Lightning would have one for all.
    plain = replace(work.config, train=replace(work.config.train, clip=None, patience=None))
    trainer = build_trainer(plain, work.device, [keeper, Lines()], 1, work.task)
    keeper.set_out(trainer)
    learner.train()
    with stop.heard(), _own_optimisers(), suppress(NobodyLeft):
        trainer.fit(learner, train_loaders(members), select_loader(members))
    for member in members:
        member.work.network.to(work.device)
        if member.error is None:
            member.best.bring_back(member.work.network)
    return learner


@contextmanager
def _own_optimisers() -> Iterator[None]:
    """Drop Lightning's word on a module without an optimiser: every run has one of its own."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*configure_optimizers. returned .None.")
        yield
