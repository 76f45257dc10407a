"""How far a sweep has come, as its store shows it: only read, whichever launcher carries it, and where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from tunesweep import locks
from tunesweep.record import RunRecord
from tunesweep.report.fields import dig, number, one_line
from tunesweep.store import Mark, Store

NEVER_AGAIN = "integrity"  # failures of this class are shown, and not carried out again
DONE, FAILED, RUNNING, WAITING = "done", "failed", "running", "waiting"


@dataclass(frozen=True)
class State:
    """Where each member of a sweep stands, and how long the others may take."""

    sweep_id: str
    points: Mapping[str, str]  # run id -> DONE, FAILED, RUNNING or WAITING
    names: Mapping[str, str]
    total: int  # of a search more than it has proposed so far
    minutes: float | None  # since the command began
    left: float | None  # minutes, by those that have ended, or else by the plan
    failure: str  # the last one in a sentence
    closed: bool  # its report was written after everything else, as a command does at its end

    def count(self, *kinds: str) -> int:
        """Return how many points are of these kinds."""
        counts = Counter(self.points.values())
        return sum(counts[kind] for kind in kinds)

    @property
    def ended(self) -> int:
        """Number of points that have a result, or have failed."""
        return self.count(DONE, FAILED)

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        return self.ended == self.total

    @property
    def over(self) -> bool:
        """Whether its command has come to its end, with or without all results."""
        return self.complete or self.closed

    @property
    def counts(self) -> str:
        """Say how many points stand where."""
        waiting = self.total - self.ended - self.count(RUNNING)
        parts = [f"{self.count(DONE)} done"]
        told = ((self.count(RUNNING), RUNNING), (self.count(FAILED), FAILED), (waiting, WAITING))
        return ", ".join([*parts, *(f"{times} {kind}" for times, kind in told if times)])


@dataclass(frozen=True)
class _Seen:
    """What is remembered of a record: reading it again would take as long as the first time."""

    mark: Mark
    kind: str  # class of failure; empty after success
    sentence: str


class Observer:
    """Looks at a sweep again and again; records that have not changed are not read again."""

    def __init__(self, store: Store, sweep_id: str) -> None:
        self.store, self.sweep_id = store, sweep_id
        self._sweep: dict[str, Any] = {"members": []}
        self._sweep_mark = 0.0
        self._seen: dict[str, _Seen | None] = {}
        self._marks: dict[str, Mark | None] = {}

    def mark(self) -> tuple[float, ...]:
        """Return what changes when any record of the store, or the file of the sweep, is written."""
        return _written(self.store.root / "records"), _written(self.store.path("sweeps", self.sweep_id))

    def state(self, now: datetime | None = None) -> State:
        """Look."""
        self._look_at_sweep()
        members, told = list(self._sweep["members"]), self._sweep.get("points") or {}
        started, now = _time(self._sweep.get("started")), now or datetime.now(UTC)
        for run_id in members:
            self._look_at(run_id)
        points = {run_id: self._stands(run_id, told.get(run_id) or {}, started) for run_id in members}
        total = max(len(members), int(number(dig(self._sweep, "search.total")) or 0))
        return State(
            self.sweep_id,
            points,
            {run_id: one_line((told.get(run_id) or {}).get("name") or run_id) for run_id in members},
            total,
            None if started is None else max(0.0, (now - started).total_seconds() / 60),
            self._left(points, total, started, now),
            self._last_failure(points),
            self._closed(points),
        )

    def _look_at_sweep(self) -> None:
        """Read the file of the sweep, which is long, when it has changed; a torn one changes nothing."""
        mark = _written(self.store.path("sweeps", self.sweep_id))
        if mark != self._sweep_mark:
            self._sweep, self._sweep_mark = self.store.get_sweep(self.sweep_id) or self._sweep, mark

    def _look_at(self, run_id: str) -> None:
        mark = self.store.mark(run_id)
        if run_id in self._marks and self._marks[run_id] == mark:
            return
        self._marks[run_id] = mark
        record = None if mark is None else self.store.get(run_id)
        self._seen[run_id] = None if record is None or mark is None else _seen(mark, record)

    def _stands(self, run_id: str, point: Mapping[str, Any], started: datetime | None) -> str:
        """Return where a point stands; what an earlier command left undone waits to be done."""
        seen = self._seen[run_id]
        if seen is not None:
            now = started is None or _at(seen) >= started.timestamp()
            forced = dig(point, "config.runtime.force") is True
            if seen.kind != "interrupted" and (now or (not forced and seen.kind in ("", NEVER_AGAIN))):
                return FAILED if seen.kind else DONE
        with locks.free(self.store.path("locks", run_id), make=False) as free:
            return WAITING if free else RUNNING

    def _last_failure(self, points: Mapping[str, str]) -> str:
        failed = [seen for name, kind in points.items() if kind == FAILED and (seen := self._seen[name])]
        return max(failed, key=_at).sentence if failed else ""

    def _closed(self, points: Mapping[str, str]) -> bool:
        if RUNNING in points.values():
            return False
        report = _written(self.store.path("reports", self.sweep_id).with_suffix(".md"))
        others = [_at(seen) for seen in self._seen.values() if seen]
        return report > max([_written(self.store.path("sweeps", self.sweep_id)), *others])

    def _left(
        self, points: Mapping[str, str], total: int, started: datetime | None, now: datetime
    ) -> float | None:
        """Return how many minutes the rest may take: as long, by weight, as what this command has ended.

        The weight of a point is what planning expects it to take, or else all weigh the same.
        """
        weights = self._weights(points)
        open_ = [weights[name] for name, kind in points.items() if kind in (RUNNING, WAITING)]
        rest = sum(open_) + (fmean(weights.values()) if weights else 1.0) * (total - len(points))
        if not rest or started is None:
            return None if rest else 0.0
        elapsed = (now - started).total_seconds() / 60
        ends = self._ends(points, started.timestamp())
        if ends:
            spent = (max(ends.values()) - started.timestamp()) / 60
            return max(0.0, spent * (1 + rest / sum(weights[name] for name in ends)) - elapsed)
        if not all(map(self._planned, points)):
            return None
        return max(0.0, rest / max(1, sum(kind == RUNNING for kind in points.values())) - elapsed)

    def _ends(self, points: Mapping[str, str], since: float) -> dict[str, float]:
        """Return when each point ended that this command has carried out."""
        ended = [name for name, kind in points.items() if kind in (DONE, FAILED)]
        times = {name: _at(seen) for name in ended if (seen := self._seen[name])}
        return {name: at for name, at in times.items() if at >= since}

    def _weights(self, points: Mapping[str, str]) -> dict[str, float]:
        known = {name: minutes for name in points if (minutes := self._planned(name))}
        mean = fmean(known.values()) if known else 1.0
        return {name: known.get(name, mean) for name in points}

    def _planned(self, run_id: str) -> float | None:
        point = (self._sweep.get("points") or {}).get(run_id)
        minutes = number(dig(point, "config.runtime.point.minutes"))
        return float(minutes) if minutes else None


def _seen(mark: Mark, record: RunRecord) -> _Seen:
    if not record.failed:
        return _Seen(mark, "", "")
    failure = record.failure or {}
    kind = str(failure.get("class") or "unknown")
    return _Seen(mark, kind, one_line(f"{record.name}: {kind}: {failure.get('message')}"))


def _at(seen: _Seen) -> float:
    return seen.mark[0] / 1e9


def _written(path: Path) -> float:
    """Return when a file, or a name in a folder, was last written; 0 where it is not there."""
    with suppress(OSError):
        return path.stat().st_mtime_ns / 1e9
    return 0.0


def _time(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
