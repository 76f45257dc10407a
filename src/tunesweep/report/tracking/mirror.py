"""What a sweep sends to W&B while it runs: each point when it ends, and their comparison at the end (R8)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from tunesweep.config import RunConfig
from tunesweep.record import RunRecord
from tunesweep.report.rows import Scope
from tunesweep.report.tracking.comparison import send_comparison
from tunesweep.report.tracking.runs import send_run

if TYPE_CHECKING:
    from tunesweep.sweep.plan import Plan

log = logging.getLogger(__name__)


def mirror_run(record: RunRecord, config: RunConfig) -> str | None:
    """Send one record; return what went wrong, if anything did: it is a warning, never a lost result."""
    return _warned(send_run(record, config.runtime.wandb, Path(config.runtime.store)))


def mirror_sweep(plan: Plan) -> str | None:
    """Send the comparison of a sweep as a run of its own."""
    settings = plan.points[0].config.runtime.wandb
    # Files that may never be sent are not worth the seconds that images take.
    images = settings.mode == "online"
    return _warned(send_comparison(plan.store, Scope(plan.sweep_id), settings, images))


def _warned(problem: str | None) -> str | None:
    if problem:
        log.warning(problem)
    return problem
