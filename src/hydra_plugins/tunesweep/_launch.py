"""A launch of the local launcher: jobs are made, handed to the pool, and reported to Hydra."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cloudpickle
from hydra.core.utils import JobReturn, configure_log, setup_globals
from omegaconf import DictConfig

from hydra_plugins.tunesweep._jobs import Task, make_jobs, returned
from tunesweep import door
from tunesweep.config import RunConfig
from tunesweep.fused import groups
from tunesweep.store import Store
from tunesweep.sweep.allotment import ALONE, Allotment, share_out
from tunesweep.sweep.jobs import Jobs, Referee
from tunesweep.sweep.pool import Pool
from tunesweep.sweep.referee import SweepReferee

if TYPE_CHECKING:
    from hydra_plugins.tunesweep.local import LocalLauncher


def launch(launcher: LocalLauncher, words: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
    """Carry out jobs in workers; points of ours are shared with other processes at the same store."""
    setup_globals()
    configure_log(launcher.planned.hydra.hydra_logging, launcher.planned.hydra.verbose)
    Path(str(launcher.planned.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
    load = launcher.context.config_loader.load_sweep_config
    configs = [load(launcher.planned, list(line)) for line in words]
    points = [door.to_run_config(cfg) for cfg in configs] if "blocks" in launcher.planned else []
    allotment = share_out(points) if points else ALONE
    _set_threads(configs, allotment)
    if launcher.pool is None:
        task = cloudpickle.dumps(Task(launcher.task, launcher.context))
        launcher.pool = Pool(task, allotment.environments)
    division = groups.divide(points, len(allotment.environments)) if _fuses(launcher) else groups.Division()
    together = division.jobs(len(configs))
    jobs = Jobs(make_jobs(configs, first, [point.runtime for point in points], together), _referee(points))
    launcher.pool.run(jobs)
    return [
        returned(line, config, jobs.answers.get(place), jobs.losses.get(place))
        for place, (line, config) in enumerate(zip(words, configs, strict=True))
    ]


def _fuses(launcher: LocalLauncher) -> bool:
    """Whether points may go together: a search waits for each of its trials."""
    return "blocks" in launcher.planned and launcher.planned.search.name == "none"


def _set_threads(configs: Sequence[DictConfig], allotment: Allotment) -> None:
    """Write each point's share of the cores where its record has it, unless it has its own."""
    for config in configs if allotment.threads else ():
        if config.runtime.threads is None:
            config.runtime.threads = allotment.threads


def _referee(points: Sequence[RunConfig]) -> Referee:
    if not points:
        return Referee()
    return SweepReferee(Store(points[0].runtime.store), dict(enumerate(points)))
