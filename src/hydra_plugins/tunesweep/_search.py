"""Adaptive search as Hydra sees it: compose and freeze each proposal, launch it, go by what came of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from hydra.core.utils import JobReturn
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.tunesweep import _sweep
from hydra_plugins.tunesweep._proposals import Composed, Proposals, proposals
from hydra_plugins.tunesweep._templates import TemplateLoader
from tunesweep import identity
from tunesweep.commands import plan as commands
from tunesweep.config.search import SearchConfig
from tunesweep.search.running import SearchSweep
from tunesweep.search.trials import Proposal
from tunesweep.store import Store
from tunesweep.sweep.plan import Plan, make_plan
from tunesweep.sweep.preview import expect

FIRST = "These are what the search begins with; what follows depends on what comes of them."


def search(
    context: HydraContext,
    task: TaskFunction,
    config: DictConfig,
    arguments: list[str],
    settings: SearchConfig,
) -> list[list[JobReturn]]:
    """Launch what the strategy proposes until it proposes nothing more; return a batch for each launch."""
    loader: Any = TemplateLoader(context.config_loader)
    source = proposals(loader, config, arguments, settings)
    shown = commands.wanted([config.plan])
    first = _batch(source, source.strategy.propose([]), dry=bool(shown))
    if shown:
        commands.show(first.plan, shown, FIRST)
        return []
    options = _sweep._report([cfg for _, cfg in first.composed])
    _sweep._check_workers(config, first.plan)
    frozen: _sweep.Frozen = {}  # grows with the trials
    launcher = _sweep._launcher(context, task, config, frozen)
    returns: list[list[JobReturn]] = []
    with (
        SearchSweep(
            _named(source, settings, first), arguments, options, settings, source.strategy
        ) as running,
        _sweep._warm(launcher),
    ):
        known = running.known()
        batch = _batch(source, known) if known else first
        while batch.asked:
            todo = running.ready(running.add(batch.asked, batch.plan))
            _freeze(batch, frozen)
            found = _sweep._launch_stage(launcher, running, todo, sum(map(len, returns)))
            points = batch.plan.points
            returns.append([found.get(p.overrides) or _sweep._completed(p, frozen) for p in points])
            batch = _batch(source, running.next())
    running.raise_failures()
    return returns


@dataclass(frozen=True)
class Batch:
    """Proposals to be launched at once, and the points that they have become."""

    asked: list[Proposal]
    composed: list[Composed]
    plan: Plan


def _batch(source: Proposals, asked: list[Proposal], dry: bool = False) -> Batch:
    """Compose, check and identify proposals, and call each by what tells it apart."""
    composed = [source.compose(proposal) for proposal in asked]
    pairs = zip(asked, composed, strict=True)
    points = [_sweep._planned(words, source.place(proposal), cfg) for proposal, (words, cfg) in pairs]
    if not points:
        return Batch([], [], Plan(Store(""), [], {}))
    plan = make_plan(points, dry=dry)
    for proposal, point in zip(asked, points, strict=True):
        point.config.runtime.point.name = source.name(proposal)
    expect(plan)
    return Batch(asked, composed, plan)


def _freeze(batch: Batch, frozen: _sweep.Frozen) -> None:
    for point, (words, cfg) in zip(batch.plan.points, batch.composed, strict=True):
        if words not in frozen:  # a trial may repeat an earlier one
            frozen[words] = _sweep._freeze(cfg, point)


def _named(source: Proposals, settings: SearchConfig, first: Batch) -> Plan:
    """Return an empty plan with the id of the search: space, sampler, seed and budget, and its first runs.

    The first runs stand for everything that no word of the command says: data, weights, defaults.
    """
    parts = {
        "settings": asdict(settings),
        "searched": source.identity,
        "first": [point.run_id for point in first.plan.points],
    }
    return Plan(first.plan.store, [], {}, search_id=identity.digest(parts))
