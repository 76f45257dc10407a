"""One sweep from its plan to its table: what stays true whichever launcher carries the points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from types import TracebackType

from rich.console import Console

from tunesweep.errors import StorageError, SweepFailed, TunesweepError
from tunesweep.failures import CONSEQUENCES, NEVER_HELPS, SOURCE_FAILED
from tunesweep.record import RunRecord, unstarted
from tunesweep.report.columns import significant
from tunesweep.report.render import report
from tunesweep.report.tracking import mirror_sweep
from tunesweep.sweep.live import Live
from tunesweep.sweep.plan import Plan
from tunesweep.sweep.points import Planned

NO_RECORD = "the launcher returned and left no record"
LOST = {"class": "lost", "message": "no record was written"}

REPAIR = "correct the command or what it names"
AGAIN = "the same command runs again what may succeed"


class Sweep:
    """Writes down what a sweep consists of, and shows what came of it, however it ended."""

    def __init__(self, plan: Plan, command: Sequence[str], options: Mapping[str, object]) -> None:
        self.plan, self.command, self.options = plan, list(command), dict(options)  # the last for the report
        self.console = Console(stderr=True, highlight=False)
        self.live = Live(plan, self.console)
        self.started = datetime.now(UTC).isoformat()  # to the microsecond: what came later is told by it

    def __enter__(self) -> Sweep:
        self.plan.store.put_sweep(self.plan.sweep_id, self._frozen())
        self.console.print(announcement(self.plan), soft_wrap=True)
        self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.live.stop()
        try:
            report(self.plan.store, self.plan.sweep_id)
        except TunesweepError as failure:  # the list of failed points, or Ctrl-C, matters more
            self.console.print(str(failure), soft_wrap=True, markup=False)
        if self.plan.todo:
            mirror_sweep(self.plan)

    def _frozen(self) -> dict[str, object]:
        """Return the file of the sweep: its members with their frozen configs (R1)."""
        labels = self.plan.labels()
        points = {
            i: {"name": p.config.runtime.point.name, "labels": labels[i], "config": asdict(p.config)}
            for i, p in self.plan.members.items()
        }
        return {
            "sweep_id": self.plan.sweep_id,
            "started": self.started,
            "command": self.command,
            "members": list(self.plan.members),
            "duplicates": self.plan.duplicates,
            "report": self.options,
            "points": points,
        }

    def ready(self, stage: Sequence[Planned]) -> list[Planned]:
        """Return what can be launched; a point whose source has no result gets a record that says so."""
        problems = {point.run_id: self._source_problem(point) for point in stage}
        for point in stage:
            if problem := problems[point.run_id]:
                self._record(point, problem, SOURCE_FAILED)
        return [point for point in stage if not problems[point.run_id]]

    def _source_problem(self, point: Planned) -> str:
        if point.source is None:
            return ""
        record = self.plan.store.get(point.source)
        if record is not None and record.succeeded:
            return ""
        name = self.plan.members[point.source].config.runtime.point.name if record is None else record.name
        failure = (record and record.failure) or LOST
        why = record.stopped if record and record.stopped else f"{failure['class']}: {failure['message']}"
        return f"run {point.source} ({name}), from which it starts: {why}"

    def recover(
        self, points: Sequence[Planned], errors: Mapping[str, str], otherwise: str = NO_RECORD
    ) -> None:
        """Give every point that left no record of its own one that says so."""
        for point in points:
            record, error = self.plan.store.get(point.run_id), errors.get(point.run_id)
            if record is None or (error and not record.failed):
                self._record(point, error or otherwise, "lost")

    def _record(self, point: Planned, message: str, kind: str) -> None:
        try:
            self.plan.store.put(unstarted(point.config, message, kind))
        except StorageError as failure:
            self.console.print(f"{point.config.runtime.point.name}: {failure}", soft_wrap=True)

    def raise_failures(self) -> None:
        """Raise one error when any member has no result (R5)."""
        records = {run_id: self.plan.store.get(run_id) for run_id in self.plan.members}
        failed = {run_id: record for run_id, record in records.items() if record is None or record.failed}
        if not failed:
            return
        classes = {(record.failure or {}).get("class") if record else "lost" for record in failed.values()}
        advice = REPAIR if classes - CONSEQUENCES <= NEVER_HELPS else AGAIN
        lines = [f"{len(failed)} of {len(records)} runs failed; {advice}:"]
        lines += [f"  {self._describe(run_id, record)}" for run_id, record in failed.items()]
        raise SweepFailed("\n".join(lines))

    def _describe(self, run_id: str, record: RunRecord | None) -> str:
        name = self.plan.members[run_id].config.runtime.point.name
        failure = (record.failure if record else None) or LOST
        return f"{name}: {failure['class']}: {failure['message']}"


def announcement(plan: Plan) -> str:
    """Return in a line what is about to happen."""
    counts = [
        f"{n} {noun}{'s' * (n != 1)}" for n, noun in ((len(plan.points), "point"), (len(plan.members), "run"))
    ]
    parts = [f"sweep {plan.sweep_id}: {', '.join(counts)}"]
    if plan.duplicates:
        parts.append(f"{plan.duplicates} duplicates (they differ only in what their method ignores)")
    if plan.refused:
        parts.append(
            f"{len(plan.refused)} failed their integrity checks (runtime.force=true runs them again)"
        )
    if sources := plan.sources():
        parts.append(f"{len(sources)} keep all their weights (runtime.keep=all), as others start from them")
    parts.append(f"{len(plan.finished)} finished, {len(plan.todo)} to do")
    minutes = [point.config.runtime.point.minutes for point in plan.todo]
    if minutes and all(minutes):  # known from finished runs alone
        parts.append(f"about {significant(sum(filter(None, minutes)))} minutes of work")
    return ", ".join(parts)
