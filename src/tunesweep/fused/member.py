"""One run of a group: its network, its training, and where it stands."""

from __future__ import annotations

from typing import Any

import torch

from tunesweep.errors import TunesweepError
from tunesweep.fused.layout import Generator
from tunesweep.stages import Workplace
from tunesweep.tasks.course import Course
from tunesweep.trainer import BestOnSelect


class Patience:
    """Ends a training after so many epochs without a better one, as Lightning's EarlyStopping does."""

    def __init__(self, patience: int | None, lower: bool) -> None:
        self.patience, self.lower = patience, lower
        self.best, self.waited = torch.tensor(torch.inf if lower else -torch.inf), 0

    def look(self, score: float) -> bool:
        """Return whether this epoch is the last one."""
        now = torch.tensor(score)
        if now < self.best if self.lower else now > self.best:
            self.best, self.waited = now, 0
            return False
        self.waited += 1
        return self.patience is not None and self.waited >= self.patience

    def state(self) -> dict[str, Any]:
        """Return it as Lightning's callback keeps it, so that the run may also go on alone."""
        if self.patience is None:
            return {}
        return {
            "wait_count": self.waited,
            "stopped_epoch": 0,
            "best_score": self.best,
            "patience": self.patience,
        }

    def take_up(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        if state:
            self.best, self.waited = state["best_score"], state["wait_count"]


class Member:
    """A run in a group; it leaves when it has failed, or learns no more."""

    def __init__(self, work: Workplace) -> None:
        self.work = work
        self.course = Course(work.network, work.config, work.data, work.task)
        self.generator = Generator(work.device)
        self.best = BestOnSelect(work.task.monitor, work.folder)
        self.patience = Patience(work.config.train.patience, lower=work.task.monitor == "loss")
        self.active, self.error = True, None
        self.optimizer: Any = None
        self.schedule: Any = None

    error: BaseException | None

    def begin(self, steps: int) -> None:
        """Have an optimiser and a schedule over so many steps."""
        self.optimizer, self.schedule = self.course.optimizer(steps)

    def step(self) -> None:
        """Take an optimiser step by the gradients that are there."""
        trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        if self.work.config.train.clip:
            torch.nn.utils.clip_grad_norm_(trained, self.work.config.train.clip)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()

    def end_epoch(self, epoch: int) -> None:
        """Take note of an epoch, counted from 1, and keep its weights where it is the best one so far."""
        try:
            scores = self.course.end_epoch(epoch, self._facts)
            self.best.look(self.course.history[-1], self.work.network)
        except TunesweepError as error:
            return self.leave(error)
        if self.patience.look(scores[self.work.task.monitor]):
            self.active = False

    def _facts(self) -> dict[str, float]:
        return {"train_loss": self.course.train_loss(), "lr": float(self.optimizer.param_groups[0]["lr"])}

    def leave(self, error: TunesweepError) -> None:
        """Be out of the group: the others go on without it."""
        self.active, self.error = False, error
        self.optimizer.zero_grad()
