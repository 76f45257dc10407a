"""What a plan comes to before it is carried out: every point, what it will take, and all together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from tunesweep.estimate.finished import Finished
from tunesweep.estimate.point import Estimate, estimate
from tunesweep.sweep.plan import Plan
from tunesweep.sweep.points import Planned

TO_DO, FINISHED, DUPLICATE, REFUSED = "to do", "finished", "duplicate", "refused"
INTEGRITY = "it failed its integrity checks: runtime.force=true runs it again"


@dataclass(frozen=True)
class Previewed:
    """A point, where it stands, and, if it is to do, what it will take."""

    point: Planned
    status: str
    estimate: Estimate

    def description(self) -> dict[str, Any]:
        """Return it as plain values."""
        name = self.point.config.runtime.point.name
        return {"run_id": self.point.run_id, "name": name, "status": self.status} | asdict(self.estimate)


def expect(plan: Plan) -> dict[str, Estimate]:
    """Return what each run that is to do will take, and let it know how long it should last."""
    known = Finished(plan.store.records())
    found = {point.run_id: estimate(point.config, known) for point in plan.todo}
    for point in plan.todo:
        point.config.runtime.point.minutes = found[point.run_id].minutes
        point.config.runtime.point.memory_bytes = found[point.run_id].memory_bytes
        point.config.runtime.point.own_bytes = found[point.run_id].own_bytes
    return found


def preview(plan: Plan, expected: dict[str, Estimate]) -> list[Previewed]:
    """Return all points in the order of the command."""
    return list(_each(plan, expected))


def _each(plan: Plan, expected: dict[str, Estimate]) -> Iterator[Previewed]:
    for point in plan.points:
        if plan.members[point.run_id] is not point:
            yield Previewed(point, DUPLICATE, Estimate())
        elif point in plan.finished:
            yield Previewed(point, FINISHED, Estimate())
        elif point in plan.refused:
            yield Previewed(point, REFUSED, Estimate(problems=[INTEGRITY]))
        else:
            yield Previewed(point, TO_DO, expected[point.run_id])


def totals(found: list[Previewed]) -> dict[str, Any]:
    """Return the sums over what is to do; `unknown` counts the runs that a sum leaves out."""
    statuses = [each.status for each in found]
    todo = [each.estimate for each in found if each.status == TO_DO]
    counts = {
        status.replace(" ", "_"): statuses.count(status) for status in (TO_DO, FINISHED, DUPLICATE, REFUSED)
    }
    minutes = [e.minutes for e in todo if e.minutes is not None]
    sizes = [e.disk_bytes for e in todo if e.disk_bytes is not None]
    return {
        "points": len(found),
        **counts,
        "peak_memory_bytes": max((e.peak_memory_bytes for e in todo if e.peak_memory_bytes), default=None),
        "minutes": sum(minutes) if minutes else None,
        "disk_bytes": sum(sizes) if sizes else None,
        "unknown": {"minutes": len(todo) - len(minutes), "disk_bytes": len(todo) - len(sizes)},
    }
