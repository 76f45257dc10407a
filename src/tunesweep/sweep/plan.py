"""What a sweep will do, known before its first point starts."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from tunesweep import capabilities, identity
from tunesweep.config import WORKER
from tunesweep.data import headings
from tunesweep.errors import BadConfig
from tunesweep.fused.groups import Division, divide
from tunesweep.parallel import refusals
from tunesweep.record import settled
from tunesweep.store import Store
from tunesweep.sweep import labels, lineage
from tunesweep.sweep.allotment import share_out
from tunesweep.sweep.points import Planned


@dataclass
class Plan:
    """The points of a sweep, the runs they come down to, and which of those are left to do."""

    store: Store
    points: list[Planned]
    members: dict[str, Planned]  # by run id, in the order of the command
    todo: list[Planned] = field(default_factory=list)  # in the order in which they are launched
    finished: list[Planned] = field(default_factory=list)
    refused: list[Planned] = field(default_factory=list)  # failed integrity: shown, run again only by force
    search_id: str = ""  # of an adaptive search, whose members are not known beforehand

    @property
    def sweep_id(self) -> str:
        """Return the id of this set of runs."""
        return self.search_id or identity.sweep_id(list(self.members))

    @property
    def duplicates(self) -> int:
        """Return how many points differ only in what their method ignores."""
        return len(self.points) - len(self.members)

    def labels(self) -> dict[str, list[str]]:
        """Return for every run the labels of the blocks that it stands in."""
        found: dict[str, set[str]] = {run_id: set() for run_id in self.members}
        for point in self.points:
            found[point.run_id] |= point.labels
        return {run_id: sorted(labels) for run_id, labels in found.items()}

    def stages(self) -> list[list[Planned]]:
        """Return what is to do in launches: each point after the one that it starts from."""
        return lineage.stages(self.todo)

    def together(self) -> Division:
        """Return which of the runs to do are trained in one pass, by their places, and why others are not."""
        configs = [point.config for point in self.todo]
        if not configs or configs[0].runtime.point.executor != WORKER:
            return divide(configs)
        return divide(configs, len(share_out(configs).environments))

    def sources(self) -> list[Planned]:
        """Return what is to do for others, too: they start from its weights."""
        ids = {point.source for point in self.members.values()}
        return [point for point in self.todo if point.run_id in ids]


def make_plan(points: Sequence[Planned], *, dry: bool = False) -> Plan:
    """Check, identify, deduplicate and sort points into finished ones and those left to do.

    A plan that is only to be looked at, `dry`, leaves the store as it is.
    """
    _refuse_impossible(points)
    store = _common_store(points)
    if not dry:
        store.check_writable()
    labels.identify(points)
    name_points([point for point in points if not point.config.runtime.point.name])
    members: dict[str, Planned] = {}
    for point in points:
        members.setdefault(point.run_id, point)
    lineage.keep_sources(points)
    plan = Plan(store, list(points), members)
    for point in members.values():
        _sort_in(plan, point)
    _again_for_others(plan)
    for point in plan.todo:
        lineage.check(point, members, store)
    plan.todo = _by_seed(plan.todo)
    plan.todo = [point for stage in plan.stages() for point in stage]
    _number(plan)
    return plan


def _refuse_impossible(points: Sequence[Planned]) -> None:
    found = dict.fromkeys(problem for point in points for problem in capabilities.problems(point.config))
    found |= dict.fromkeys(refusals.several_in_one_process([point.config for point in points]))
    # One point that can be read is enough: bad data are then rows of their own, and the rest goes on.
    if all(any(headings.problems(point.config.dataset)) for point in points):
        found |= dict.fromkeys(each for point in points for each in headings.problems(point.config.dataset))
    if found:
        raise BadConfig("nothing was started: " + "; ".join(found))


def _common_store(points: Sequence[Planned]) -> Store:
    roots = {point.config.runtime.store for point in points}
    if len(roots) > 1:
        raise BadConfig(f"runtime.store={', '.join(sorted(roots))} must be one folder for the whole sweep")
    return Store(roots.pop())


def name_points(points: Sequence[Planned]) -> None:
    """Name each point by the words of its command: those that tell it apart, where there are several."""
    words = [[word for word in planned.overrides if not _where(word)] for planned in points]
    shared = set.intersection(*map(set, words)) if len(points) > 1 else set()
    for planned, own in zip(points, words, strict=True):
        name = " ".join(word for word in own if word not in shared)
        planned.config.runtime.point.name = name or "defaults"


def _where(word: str) -> bool:
    """Whether a word is on where and how a point is carried out."""
    return word.lstrip("+~").startswith(("runtime.", "runtime=", "plan="))


def _sort_in(plan: Plan, point: Planned) -> None:
    record = plan.store.get(point.run_id)
    if settled(record, point.config):
        plan.finished.append(point)
    elif record and not point.config.runtime.force and (record.failure or {}).get("class") == "integrity":
        plan.refused.append(point)
    else:
        plan.todo.append(point)


def _again_for_others(plan: Plan) -> None:
    """Repeat finished runs that kept no weights, where a point that is left to do starts from them."""
    for point in lineage.weightless(plan.todo, plan.members, plan.store):
        point.config.runtime.force = True
        plan.finished.remove(point)
        plan.todo.append(point)


def _by_seed(points: Sequence[Planned]) -> list[Planned]:
    """Let all rows of the table have their first seed before any has its second."""
    seeds = list(dict.fromkeys(point.config.seed for point in points))
    return sorted(points, key=lambda point: seeds.index(point.config.seed))


def _number(plan: Plan) -> None:
    command = uuid.uuid4().hex[:8]
    for index, planned in enumerate(plan.todo, start=1):
        point = planned.config.runtime.point
        point.command = command
        point.sweep_id, point.index, point.total = plan.sweep_id, index, len(plan.todo)
