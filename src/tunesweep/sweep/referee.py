"""What a sweep decides about its jobs: which another process has, which is lost, when to start no more."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from tunesweep import brake
from tunesweep.config import RunConfig
from tunesweep.errors import StorageError
from tunesweep.failures import CLASSES, UNDECIDED
from tunesweep.record import RunRecord, settled, unstarted
from tunesweep.store import Busy, Store
from tunesweep.sweep.jobs import Job, Loss, Referee


class SweepReferee(Referee):
    """Decides by the store, which other processes share.

    `points` are the launch's configurations by number. What a point's record was when the launch began
    is remembered: a newer one is the work of somebody else at the same sweep.
    """

    def __init__(self, store: Store, points: Mapping[int, RunConfig]) -> None:
        self.store, self.points = store, points
        self._before = {n: store.mark(point.runtime.point.run_id) for n, point in points.items()}
        self._losses = dict.fromkeys(points, 0)
        self._told: set[int] = set()

    def busy(self, job: Job) -> bool:
        """Whether another process holds the point: it is left for later."""
        try:
            busy = self.store.busy(self._id(job))
        except StorageError:  # the worker finds the same, and says so of this point alone
            return False
        if busy and job.number not in self._told:
            self._told.add(job.number)
            self._say(self.points[job.number], "another process is carrying it out; left for later")
        return busy

    def settled(self, job: Job) -> bool:
        """Whether somebody has carried the point out meanwhile, or it must not start any more."""
        point = self.points[job.number]
        record = self.store.get(self._id(job))
        if settled(record, point):
            return True
        if self._decided(job, record) or self._stopped(point):
            return True
        self._before[job.number] = self.store.mark(self._id(job))  # of one that was interrupted elsewhere
        return False

    def _stopped(self, point: RunConfig) -> bool:
        try:
            return brake.not_started(point, self.store) is not None
        except StorageError:
            return False

    def _decided(self, job: Job, record: RunRecord | None) -> bool:
        if record is None or self.store.mark(self._id(job)) == self._before[job.number]:
            return False
        return (record.failure or {}).get("class") not in UNDECIDED

    def refused(self, job: Job, answer: Any) -> bool:
        """Whether another process was faster to claim the point than the worker."""
        return isinstance(getattr(answer, "_return_value", None), Busy)

    def kept(self, job: Job) -> bool:
        """See `Referee.kept`."""
        return self._decided(job, self.store.get(self._id(job)))

    def lost(self, job: Job, loss: Loss) -> bool:
        """Try a point again as often as its class allows; then its record says what became of it."""
        point = self.points[job.number]
        if self._losses[job.number] < CLASSES[loss.kind].retries:
            self._losses[job.number] += 1
            self._say(point, f"{loss.message}; it is tried again")
            return True
        self._keep(unstarted(point, loss.message, loss.kind, loss.log))
        return False

    def parted(self, job: Job, loss: Loss) -> None:
        """See `Referee.parted`."""
        count = len(job.parts)
        self._say(self.points[job.number], f"{loss.message} with {count} runs in it; each is tried alone")

    def _keep(self, record: RunRecord) -> None:
        try:
            self.store.put(record)
        except StorageError as error:  # the others go on: what could be said of this one is said
            print(f"{record.name}: {error}", file=sys.stderr, flush=True)

    def _say(self, point: RunConfig, words: str) -> None:
        if point.runtime.progress:
            print(f"{point.runtime.point.name}: {words}", file=sys.stderr, flush=True)

    def _id(self, job: Job) -> str:
        return self.points[job.number].runtime.point.run_id
