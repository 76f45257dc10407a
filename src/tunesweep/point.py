"""One point, start to finish."""

from __future__ import annotations

from functools import partial

from tunesweep import brake, identity, stages
from tunesweep.attempt import attempt
from tunesweep.config import WORKER, RunConfig
from tunesweep.fused.carry import dissolved, handed_over
from tunesweep.progress import say_result, say_scoring
from tunesweep.record import RunRecord, settled
from tunesweep.report.tracking import mirror_run
from tunesweep.silence import quiet_libraries
from tunesweep.store import Store


def run(config: RunConfig) -> RunRecord:
    """Carry out one point and return its record, which the store then holds; skip what it already holds.

    A worker does not wait for a point that another process holds: it raises `Busy`.
    """
    identity.identify(config)
    store = Store(config.runtime.store)
    with store.claim(config.runtime.point.run_id, wait=config.runtime.point.executor != WORKER):
        record = handed_over.pop(config.runtime.point.run_id, None)  # trained with others, a moment ago
        if record is None:
            known = store.get(config.runtime.point.run_id)
            if known is not None and settled(known, config):
                return known
            work = partial(carry_out, config, store)
            record = brake.not_started(config, store) or attempt(config, store, work)
    say_result(record, config.runtime)
    mirror_run(record, config)
    return record


def carry_out(config: RunConfig, store: Store, record: RunRecord) -> None:
    """Train and score; every stage adds its part to the record."""
    if reason := dissolved.pop(record.run_id, None):
        record.warnings.append(reason)
    with quiet_libraries(), stages.Workplace(config, store, record) as work:
        stages.prepare(work)
        stages.load_data(work)
        stages.load_network(work)
        stages.train(work)
        if config.method.trained:
            say_scoring(config.runtime)
        stages.evaluate(work)
        stages.check_network(work)
        stages.save(work)
        stages.check_artefact(work)
        stages.keep(work)
