"""The jobs of a launch: which is next, which has to wait, and what came of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(eq=False)
class Job:
    """One point on its way to a worker."""

    number: int
    payload: bytes
    timeout_s: float | None = None  # after which its worker is ended


@dataclass(frozen=True)
class Loss:
    """A job without an answer: the class of failure, what is known, and the worker's last lines."""

    kind: str  # lost, timeout
    message: str
    log: str


class Referee:
    """What is decided about jobs. This one, for jobs of anybody, lets each run once."""

    def busy(self, job: Job) -> bool:
        """Whether another process is carrying it out now."""
        return False

    def settled(self, job: Job) -> bool:
        """Whether nothing is left to do for it."""
        return False

    def refused(self, job: Job, answer: Any) -> bool:
        """Whether an answer means that it has to wait after all."""
        return False

    def lost(self, job: Job, loss: Loss) -> bool:
        """Note a loss; whether to try again."""
        return False


class Jobs:
    """Jobs in the order of the plan; a busy one is passed over until it is free."""

    def __init__(self, jobs: Sequence[Job], referee: Referee) -> None:
        self.referee = referee
        self.answers: dict[int, Any] = {}  # by number; a settled job has none
        self.losses: dict[int, Loss] = {}
        self._waiting, self._running = list(jobs), 0

    @property
    def left(self) -> bool:
        """Whether any job waits or runs."""
        return bool(self._waiting or self._running)

    def next(self) -> Job | None:
        """Return a job that can start now, if there is one."""
        for job in list(self._waiting):
            if self.referee.busy(job):
                continue
            self._waiting.remove(job)
            if not self.referee.settled(job):  # asked when nobody else is at it
                self._running += 1
                return job
        return None

    def answered(self, job: Job, answer: Any) -> None:
        """Take a job's answer."""
        self._running -= 1
        if self.referee.refused(job, answer):
            self._waiting.append(job)
        else:
            self.answers[job.number] = answer

    def lost(self, job: Job, loss: Loss) -> None:
        """Take note that a job's worker is gone; it waits again, or is lost."""
        self._running -= 1
        if self.referee.lost(job, loss):
            self._waiting.append(job)
        else:
            self.losses[job.number] = loss
