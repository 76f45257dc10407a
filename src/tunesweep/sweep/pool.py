"""Workers that stay warm from job to job, and one loop that hands out jobs and hears answers."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import wait
from types import TracebackType

from tunesweep.stopping import SAID
from tunesweep.sweep.jobs import Jobs, Loss
from tunesweep.sweep.workers import Worker

POLL_S = 0.5  # a busy point, a time limit and a silent death are noticed so late at most


class Pool:
    """One seat for each environment; a worker is started when there is a job for it, and after a loss anew.

    `task` is what a worker does with a job's payload: a pickled function.
    """

    def __init__(self, task: bytes, environments: Sequence[Mapping[str, str]]) -> None:
        self._task, self._environments = task, list(environments)
        self._workers: dict[int, Worker] = {}
        self._shown = len(self._environments) == 1 and sys.stderr.isatty()

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def run(self, jobs: Jobs) -> None:
        """Carry out jobs until none is left; Ctrl-C stops them after their step, a second one at once."""
        try:
            while jobs.left:
                self._hand_out(jobs)
                self._collect(jobs)
        except KeyboardInterrupt:
            self._wind_up()
            raise

    def _hand_out(self, jobs: Jobs) -> None:
        for seat in range(len(self._environments)):
            if seat in self._workers and self._workers[seat].job:
                continue
            job = jobs.next()
            if job is None:
                return
            self._worker(seat).give(job)

    def _worker(self, seat: int) -> Worker:
        worker = self._workers.get(seat)
        if worker is None or not worker.alive:
            worker = self._workers[seat] = Worker(self._task, self._environments[seat], self._shown)
        return worker

    def _busy(self) -> list[Worker]:
        return [worker for worker in self._workers.values() if worker.job]

    def _collect(self, jobs: Jobs) -> None:
        heard = wait([worker.channel for worker in self._busy()], timeout=POLL_S)
        for worker in self._busy():
            if worker.channel in heard:
                self._hear(worker, jobs)
            elif worker.overdue:
                worker.kill()
                self._lose(worker, jobs, "timeout")
            elif not worker.alive and not worker.channel.poll():  # what it left behind holds its channel open
                self._lose(worker, jobs)

    def _hear(self, worker: Worker, jobs: Jobs) -> None:
        try:
            answer = worker.channel.recv_bytes()
        except (EOFError, OSError):
            return self._lose(worker, jobs)
        job, worker.job = worker.job, None
        assert job is not None
        jobs.answered(job, pickle.loads(answer))

    def _lose(self, worker: Worker, jobs: Jobs, kind: str = "lost") -> None:
        job, worker.job = worker.job, None
        ending = worker.end()
        assert job is not None
        late = f"it did not stop at its time limit, so its worker was ended after {job.timeout_s} s"
        jobs.lost(job, Loss(kind, late if kind == "timeout" else ending, worker.log()))

    def _wind_up(self) -> None:
        """Ask every worker at a job to stop, and wait for it; another Ctrl-C ends them at once."""
        busy = self._busy()
        try:
            for worker in busy:
                worker.ask_to_stop()
            if busy:
                print(SAID, file=sys.stderr)
            while busy:
                heard = wait([worker.channel for worker in busy], timeout=POLL_S)
                busy = [worker for worker in busy if worker.channel not in heard and worker.alive]
            for worker in self._busy():
                worker.job = None
        except KeyboardInterrupt:
            for worker in self._workers.values():
                worker.kill()
            raise

    def close(self) -> None:
        """Let idle workers end, and end those at work."""
        for worker in self._workers.values():
            worker.dismiss()
        for worker in self._workers.values():
            worker.end()
        self._workers.clear()
