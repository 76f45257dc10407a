"""The jobs of a launch: which is next, which has to wait, which go together, and what came of each."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(eq=False)
class Job:
    """One point on its way to a worker, or several that go together."""

    number: int
    payload: bytes
    timeout_s: float | None = None  # after which its worker is ended
    parts: tuple[Job, ...] = ()  # that go together


@dataclass(frozen=True)
class Together:
    """The payloads of several jobs, as a worker gets them; it answers with a list."""

    payloads: tuple[bytes, ...]


def together(jobs: Sequence[Job]) -> Job:
    """Return one job for several; of one, that one."""
    if len(jobs) == 1:
        return jobs[0]
    payload = pickle.dumps(Together(tuple(job.payload for job in jobs)))
    return Job(jobs[0].number, payload, parts=tuple(jobs))


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

    def kept(self, job: Job) -> bool:
        """Whether a job whose worker is gone had left its result before."""
        return False

    def lost(self, job: Job, loss: Loss) -> bool:
        """Note a loss; whether to try again."""
        return False

    def parted(self, job: Job, loss: Loss) -> None:
        """Take note that jobs which went together were lost together: each is tried alone."""


class Jobs:
    """Jobs in the order of the plan; a busy one is passed over until it is free, or left out of its group."""

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
            parts = job.parts or (job,)
            busy = [part for part in parts if self.referee.busy(part)]
            if len(busy) == len(parts):
                continue
            self._waiting.remove(job)
            self._waiting += busy
            free = [part for part in parts if part not in busy]
            if todo := [part for part in free if not self.referee.settled(part)]:  # nobody else is at them
                self._running += 1
                return together(todo)
        return None

    def answered(self, job: Job, answer: Any) -> None:
        """Take a job's answer."""
        self._running -= 1
        for part, own in _answers(job, answer):
            if self.referee.refused(part, own):
                self._waiting.append(part)
            else:
                self.answers[part.number] = own

    def lost(self, job: Job, loss: Loss) -> None:
        """Take note that a job's worker is gone; it waits again, or is lost."""
        self._running -= 1
        if job.parts:
            self.referee.parted(job, loss)
            self._waiting += job.parts
        elif self.referee.kept(job):
            return
        elif self.referee.lost(job, loss):
            self._waiting.append(job)
        else:
            self.losses[job.number] = loss


def _answers(job: Job, answer: Any) -> Iterator[tuple[Job, Any]]:
    yield from zip(job.parts, answer, strict=True) if job.parts else [(job, answer)]
