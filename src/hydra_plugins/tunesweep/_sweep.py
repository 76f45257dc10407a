"""The sweep as Hydra sees it: compose and freeze every point, launch what is left, return one batch."""

from __future__ import annotations

import lzma
import pickle
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from hydra_plugins.tunesweep._extended import extended
from hydra_plugins.tunesweep._points import Place, Words, points
from hydra_plugins.tunesweep._templates import TemplateLoader
from tunesweep import door
from tunesweep.commands import plan as commands
from tunesweep.config import WORKER
from tunesweep.errors import BadConfig
from tunesweep.report.columns import check_columns
from tunesweep.report.fields import number
from tunesweep.report.seeds import SEEDS
from tunesweep.report.tuning import check_tuning
from tunesweep.sweep.allotment import share_out
from tunesweep.sweep.plan import Plan, make_plan
from tunesweep.sweep.points import Planned
from tunesweep.sweep.preview import expect
from tunesweep.sweep.sweep import Sweep

EXECUTORS = {"basic": "in process", "local": WORKER}  # others by their own names


def sweep(context: HydraContext, task: TaskFunction, config: DictConfig, arguments: list[str]) -> Any:
    """Plan, launch what is neither finished nor a duplicate, show the table, fail if a point failed.

    Returns a batch for each launch; finished points and duplicates stand where they were planned.
    """
    if "blocks" not in config:
        return _foreign(context, task, config, arguments)
    if (settings := door.to_search(config)) is not None:
        from hydra_plugins.tunesweep._search import search

        return search(context, task, config, arguments, settings)
    loader: Any = TemplateLoader(context.config_loader)
    places = points(loader, config, arguments)
    composed = {words: _compose(loader, config, words) for words in places}
    shown = commands.wanted([cfg.plan for cfg in composed.values()])
    found = extended([(_planned(words, places[words], cfg), cfg) for words, cfg in composed.items()])
    report = _report([cfg for _, cfg in found])  # a plan, too, is refused for what the sweep would be
    plan = make_plan([point for point, _ in found], dry=bool(shown))
    if shown:
        commands.show(plan, shown)
        return []
    expect(plan)
    composed = {point.overrides: cfg for point, cfg in found}
    frozen = {point.overrides: _freeze(composed[point.overrides], point) for point in plan.points}
    _check_workers(config, plan)
    launcher = _launcher(context, task, config, frozen)
    with Sweep(plan, list(arguments), report) as running, _warm(launcher):
        returns = _launch(launcher, running)
    running.raise_failures()
    return [[returns.get(p.overrides) or _completed(p, frozen) for p in batch] for batch in _batches(plan)]


def _planned(words: Words, place: Place, cfg: DictConfig) -> Planned:
    return Planned(words, door.to_run_config(cfg), place.experiment, frozenset(place.labels))


def _report(composed: list[DictConfig]) -> dict[str, Any]:
    """Return what an experiment's table shows; experiments that disagree have the usual one."""
    options: list[Any] = [OmegaConf.to_container(cfg.report, resolve=True) for cfg in composed]
    for option in options:
        check_columns(option["columns"])
        _check_settings("factors", option["factors"], composed)
        _check_settings("tuning", option["tuning"], composed)
        _check_within(option["within"], composed)
        check_tuning(option["tuning"])
    agreed = all(option == options[0] for option in options)
    return {str(k): v for k, v in dict(options[0]).items()} if agreed else {}


def _check_settings(option: str, names: list[str], composed: list[DictConfig]) -> None:
    """Refuse a name in an option of the report that is neither a setting nor a group of any point."""
    for name in names:
        if not any(_has(cfg, name) for cfg in composed):
            raise BadConfig(
                f"report.{option}: no point has {name!r}: name a setting, as train.epochs, or a group"
            )


def _check_within(name: str | None, composed: list[DictConfig]) -> None:
    """Refuse a setting along which nothing can be said: it takes numbers, and seeds are merged."""
    if name is None:
        return
    _check_settings("within", [name], composed)
    found = [OmegaConf.select(cfg, name) for cfg in composed if _has(cfg, name)]
    # Null may become a number, as a method's own rate does.
    if name in SEEDS or not any(value is None or number(value) is not None for value in found):
        raise BadConfig(f"report.within={name} is no setting of numbers: name one, as dataset.limit.train")


def _has(cfg: Any, name: str) -> bool:
    """Whether a config has a dotted key, whatever its value."""
    for part in name.split("."):
        if not isinstance(cfg, DictConfig) or part not in cfg:
            return False
        cfg = cfg[part]
    return True


def _batches(plan: Plan) -> list[list[Planned]]:
    """Return the planned points by launch; what was finished before stands in the first."""
    launch = {p.run_id: number for number, stage in enumerate(plan.stages()) for p in stage}
    count = max(launch.values(), default=0) + 1
    return [[p for p in plan.points if launch.get(p.run_id, 0) == number] for number in range(count)]


def _launch(launcher: Launcher, running: Sweep) -> dict[Words, JobReturn]:
    """Launch what is to do, sources before what starts from them."""
    returns: dict[Words, JobReturn] = {}
    launched = 0
    for stage in running.plan.stages():
        ready = running.ready(stage)
        returns |= _launch_stage(launcher, running, ready, launched)
        launched += len(ready)
    return returns


def _launch_stage(
    launcher: Launcher, running: Sweep, todo: list[Planned], launched: int
) -> dict[Words, JobReturn]:
    """Launch these points, and have a record of each whatever becomes of the launcher."""
    words = [list(p.overrides) for p in todo]
    try:
        returns = list(launcher.launch(words, initial_job_idx=launched)) if todo else []
    except Exception as error:  # a worker that the system killed ends joblib's launch with all its points
        otherwise = f"the launcher ended with {type(error).__name__}: {error}"
        running.recover(running.plan.todo, {}, otherwise)
        running.raise_failures()
        raise
    if len(returns) != len(todo):  # which one is missing is not known, and the store has the results
        returns = []
    running.recover(todo, {p.run_id: _error(r) for p, r in zip(todo, returns, strict=False)})
    return {p.overrides: r for p, r in zip(todo, returns, strict=False)}


def _compose(loader: ConfigLoader, config: DictConfig, words: Words) -> DictConfig:
    cfg = loader.load_sweep_config(config, list(words))
    door.check_method_name(cfg)
    if cfg.search != config.search:
        raise BadConfig(f"search={cfg.search.name} cannot be swept: one command is one search or none")
    cfg.runtime.point.uses_lora = door.takes_rank(cfg)
    launcher = _chosen(cfg)
    cfg.runtime.point.executor = EXECUTORS.get(launcher, launcher)
    cfg.runtime.point.folder = str(Path.cwd())
    cfg.hydra.sweep.dir = str(Path(cfg.hydra.sweep.dir).absolute())  # wherever a job begins
    return cfg


def _freeze(cfg: DictConfig, point: Planned) -> DictConfig:
    """Resolve all but Hydra's own node, which needs the number of a job that has not begun."""
    ours = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
    ours.runtime.point = point.config.runtime.point
    ours.model.revision, ours.dataset.revision = point.config.model.revision, point.config.dataset.revision
    ours.model.init_from = point.config.model.init_from
    ours.runtime.keep, ours.runtime.force = point.config.runtime.keep, point.config.runtime.force
    OmegaConf.resolve(ours)
    with open_dict(cfg):
        for key in ours:
            cfg[key] = ours[key]
    return cfg


def _chosen(cfg: DictConfig) -> str:
    return str(cfg.hydra.runtime.choices["hydra/launcher"])


def _check_workers(config: DictConfig, plan: Plan) -> None:
    """Refuse more workers than there is room for, before anything is written."""
    if _chosen(config) == "local":
        share_out([point.config for point in plan.points])


def _warm(launcher: Launcher) -> AbstractContextManager[Any]:
    """Keep the workers of a launcher that has any from launch to launch."""
    return launcher if isinstance(launcher, AbstractContextManager) else nullcontext()


Frozen = dict[Words, DictConfig]


class FrozenLoader:
    """Hands every launcher the frozen configs: all of them ask `load_sweep_config`.

    With each job travels the whole loader, so it is packed: configs of one sweep say much the same.
    """

    def __init__(self, inner: ConfigLoader, frozen: dict[Words, DictConfig]) -> None:
        self.inner, self.frozen = inner, frozen
        self._packed = (0, b"")  # how many, and what they come to

    @property
    def packed(self) -> bytes:
        """Return the frozen configs as a job carries them: about 2 kB a point instead of 30."""
        import cloudpickle  # as every launcher that pickles: Hydra loads its plugins' classes twice

        if self._packed[0] != len(self.frozen):  # a search adds to them
            self._packed = len(self.frozen), lzma.compress(cloudpickle.dumps(self.frozen), preset=1)
        return self._packed[1]

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpacked, (self.inner, self.packed)

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: Sequence[str]) -> DictConfig:
        """Return a copy of the frozen config: an edit of a YAML since then changes nothing."""
        return deepcopy(self.frozen[tuple(sweep_overrides)])

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def _unpacked(inner: ConfigLoader, packed: bytes) -> FrozenLoader:
    return FrozenLoader(inner, pickle.loads(lzma.decompress(packed)))  # out of the job's own pickle


def _launcher(
    context: HydraContext, task: TaskFunction, config: DictConfig, frozen: dict[Words, DictConfig]
) -> Launcher:
    loader: Any = FrozenLoader(context.config_loader, frozen)
    return Plugins.instance().instantiate_launcher(
        hydra_context=HydraContext(config_loader=loader, callbacks=context.callbacks),
        task_function=task,
        config=config,
    )


def _error(result: JobReturn) -> str:
    """Return what the launcher says went wrong with a point; empty when nothing did."""
    return str(result._return_value) if result.status == JobStatus.FAILED else ""


def _completed(point: Planned, frozen: dict[Words, DictConfig]) -> JobReturn:
    cfg = OmegaConf.masked_copy(
        frozen[point.overrides], [str(k) for k in frozen[point.overrides] if k != "hydra"]
    )
    return JobReturn(overrides=list(point.overrides), cfg=cfg, status=JobStatus.COMPLETED)


def _foreign(context: HydraContext, task: TaskFunction, config: DictConfig, arguments: list[str]) -> Any:
    """Carry a configuration that is not ours as Hydra itself would."""
    basic = BasicSweeper(max_batch_size=None)
    basic.setup(hydra_context=context, task_function=task, config=config)
    return basic.sweep(arguments)
