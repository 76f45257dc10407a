"""What travels between Hydra and a worker process: the task once, then one frozen config for each job."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Sequence
from typing import Any

import cloudpickle
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from tunesweep import door, stopping
from tunesweep.config import RuntimeConfig
from tunesweep.sweep.jobs import Job, Loss, Together, together

GRACE_S = stopping.GRACE_S + 30.0  # a worker still at it then does not answer


class LostJob(Exception):
    """A job whose worker process ended before it had answered."""


class Task:
    """The task function as a worker has it, between Hydra's own set-up and its own report."""

    def __init__(self, function: TaskFunction, context: HydraContext) -> None:
        self.function, self.callbacks, self.state = function, context.callbacks, Singleton.get_state()

    def __call__(self, work: DictConfig | Together) -> JobReturn | list[JobReturn]:
        """Carry out one job, or several together, and return what Hydra wants to know of each."""
        setup_globals()
        if self.state is not None:
            Singleton.set_state(self.state)
            self.state = None
        if not isinstance(work, Together):
            return self._carry_out(work)
        configs = [pickle.loads(payload) for payload in work.payloads]
        _train(configs)
        return [self._carry_out(config) for config in configs]

    def _carry_out(self, config: DictConfig) -> JobReturn:
        nothing: Any = None  # whatever asks for a config has it already
        result = run_job(
            hydra_context=HydraContext(config_loader=nothing, callbacks=self.callbacks),
            task_function=self.function,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        return _portable(result)


def _train(configs: Sequence[DictConfig]) -> None:
    """Train points together; what each of them does afterwards begins with its record."""
    points = [door.to_run_config(config) for config in configs]
    door.enter(points[0].runtime.point.folder)
    from tunesweep.fused.carry import carry_out

    carry_out(points)


def _portable(result: JobReturn) -> JobReturn:
    """Let an error travel with its traceback, as text where it does not survive the journey."""
    error = result._return_value
    if result.status != JobStatus.FAILED or not isinstance(error, Exception):
        return result
    error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(cloudpickle.dumps(error))
    except Exception:  # an error may pickle and yet not be built again
        result._return_value = RuntimeError(f"{type(error).__name__}: {error}")
    return result


def make_jobs(
    configs: Sequence[DictConfig],
    first: int,
    runtimes: Sequence[RuntimeConfig],
    groups: Sequence[Sequence[int]],
) -> list[Job]:
    """Return numbered jobs, `groups` of places together; points of ours have a time limit if they say so."""
    limits = [_limit(runtime) for runtime in runtimes] or [None] * len(configs)
    found = []
    for place, (config, limit) in enumerate(zip(configs, limits, strict=True)):
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = first + place
        found.append(Job(place, cloudpickle.dumps(config), limit))
    return [together([found[place] for place in group]) for group in groups]


def _limit(runtime: RuntimeConfig) -> float | None:
    minutes = runtime.timeout_minutes
    return None if minutes is None else 60 * minutes + GRACE_S


def returned(words: Sequence[str], config: DictConfig, answer: Any, loss: Loss | None) -> JobReturn:
    """Return what Hydra is told of a job: the worker's answer, its loss, or that it needed no worker."""
    if isinstance(answer, JobReturn):
        return answer
    ours = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    result = JobReturn(overrides=list(words), cfg=ours, status=JobStatus.COMPLETED)
    if loss is not None:
        result.status = JobStatus.FAILED
        result._return_value = LostJob(loss.message)
    return result
