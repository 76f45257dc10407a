"""A finished store to W&B: every run, then the comparison; records are only read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tunesweep.config import WandbConfig
from tunesweep.record import RunRecord
from tunesweep.report.fields import one_line
from tunesweep.report.rows import Scope, find_sweep
from tunesweep.report.tracking.comparison import send_comparison
from tunesweep.report.tracking.runs import send_run
from tunesweep.store import Store

PATIENCE = 3  # failures in a row after which nothing more is tried: the service, or the disk, is gone


@dataclass
class Upload:
    """What was sent, what is missing, and what went wrong."""

    sent: int = 0
    absent: int = 0
    problems: list[str] = field(default_factory=list)


def upload(store: Store, scope: Scope, settings: WandbConfig, say: Callable[[str], None]) -> Upload:
    """Send all runs of a scope, then its comparison; sending again writes the same runs anew."""
    records, absent = _records(store, scope)
    sweeps = _memberships(store)
    found = Upload(absent=absent)
    failed_in_a_row, done = 0, "written" if settings.mode == "offline" else "sent"
    for number, record in enumerate(records, 1):
        problem = send_run(record, settings, store.root, sweeps.get(record.run_id, ()))
        name = one_line(record.name)
        failed_in_a_row = failed_in_a_row + 1 if problem else 0
        _count(found, problem, f"{name} ({record.run_id})")
        say(f"{number}/{len(records)} {name}: {'failed' if problem else done}")
        left = len(records) - number
        if failed_in_a_row == PATIENCE and left:
            found.problems.append(f"stopped after {PATIENCE} failures in a row: {left} runs are not sent")
            return found
    _count(found, send_comparison(store, scope, settings), "comparison")
    found.problems += store.problems
    return found


def _count(found: Upload, problem: str | None, what: str) -> None:
    if problem:
        found.problems.append(f"{what}: {problem}")
    else:
        found.sent += 1


def _records(store: Store, scope: Scope) -> tuple[list[RunRecord], int]:
    """Return the readable records of a scope, and how many of its points have none."""
    if scope.all:
        return store.records(), 0
    members = find_sweep(store, scope.sweep)[1]["members"]
    found = [store.get(name) for name in members]
    records = [record for record in found if record is not None]
    return records, len(members) - len(records)


def _memberships(store: Store) -> dict[str, Iterable[str]]:
    """Return to which sweeps each run belongs: one that was skipped as finished is of several."""
    found: dict[str, list[str]] = {}
    for sweep in store.sweeps():
        for run in (store.get_sweep(sweep) or {}).get("members", ()):
            found.setdefault(run, []).append(sweep)
    return dict(found)
