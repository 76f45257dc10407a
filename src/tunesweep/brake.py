"""A sweep that fails in one way again and again is stopped (R3), whatever launcher carries it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from tunesweep.config import RunConfig
from tunesweep.failures import CLASSES, NOT_STARTED
from tunesweep.record import RunRecord, unstarted
from tunesweep.store import Store


def not_started(config: RunConfig, store: Store) -> RunRecord | None:
    """Return and keep the record of a point that must not start any more; nothing where it may.

    A success of an earlier command stays.
    """
    reason = _pulled(config, store)
    if not reason:
        return None
    known = store.get(config.runtime.point.run_id)
    if known is not None and not known.failed:
        return known
    record = unstarted(config, reason, NOT_STARTED)
    store.put(record)
    return record


def _pulled(config: RunConfig, store: Store) -> str:
    """Return why a sweep goes no further, judged by what its runs left in the store: no launcher is asked."""
    limit, kinds = config.runtime.stop_after, list[str]()
    for record in _of_command(config, store) if limit else ():
        kind = (record.failure or {}).get("class", "")
        if kind == NOT_STARTED:
            return str((record.failure or {}).get("message"))
        if kind in CLASSES and not CLASSES[kind].brakes:
            continue
        kinds.append(kind)
        if not kind or kind != kinds[0]:
            return ""
        if len(kinds) == limit:
            return (
                f"{limit} runs in a row failed in one way ({kind}), so no more were started: "
                "repair that, or set runtime.stop_after=null"
            )
    return ""


def _of_command(config: RunConfig, store: Store) -> Iterator[RunRecord]:
    """Yield what this sweep's runs left since its command began, the last one first."""
    sweep_id = config.runtime.point.sweep_id
    started = (store.get_sweep(sweep_id) or {}).get("started") if sweep_id else None
    for record in store.latest(datetime.fromisoformat(started)) if started else ():
        if record.sweep_id == sweep_id:
            yield record
