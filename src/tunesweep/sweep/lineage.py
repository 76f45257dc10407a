"""Runs that start from runs: what a source must be, what it must keep, and who is launched after whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tunesweep.models import start
from tunesweep.store import Store
from tunesweep.sweep.points import Planned

Members = Mapping[str, Planned]  # by run id


def keep_sources(points: Sequence[Planned]) -> None:
    """Let every point that another one starts from keep its weights."""
    sources = {point.source for point in points}
    for point in points:
        if point.run_id in sources:
            point.config.runtime.keep = "all"


def stages(todo: Sequence[Planned]) -> list[list[Planned]]:
    """Return points in launches: in the first those whose source, if any, is no longer to do."""
    by_id = {point.run_id: point for point in todo}
    found: list[list[Planned]] = [[] for _ in todo]
    for point in todo:
        found[_depth(point, by_id)].append(point)
    return [stage for stage in found if stage]


def _depth(point: Planned, todo: Members) -> int:
    source = todo.get(point.source or "")
    return 0 if source is None else 1 + _depth(source, todo)


def weightless(todo: Sequence[Planned], members: Members, store: Store) -> list[Planned]:
    """Return members that succeeded and kept no weights, although a point left to do needs them."""
    found: dict[str, Planned] = {}
    begun = list(todo)
    for point in begun:  # grows: a repeated source needs its own
        source = members.get(point.source or "")
        if source is None or source in begun:
            continue
        record = store.get(source.run_id)
        if record is not None and record.succeeded and not start.kept(store, record):
            found[source.run_id] = source
            begun.append(source)
        elif not source.config.method.full:  # its weights are laid over those that it started from
            begun.append(source)
    return list(found.values())


def check(point: Planned, members: Members, store: Store) -> None:
    """Refuse a source that a point cannot start from; one given by hand must lie in the store."""
    if point.source is None:
        return
    if point.source in members:
        start.check_source(point.config, members[point.source].config)
        return
    for source in start.ancestors(point.config, store):
        start.check_source(point.config, source)
