"""Adaptive search as Hydra sees it: compose and freeze each proposal, launch it, go by what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from hydra.core.utils import JobReturn
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.tunesweep import _sweep
from hydra_plugins.tunesweep._proposals import Composed, Proposals, proposals
from tunesweep import identity
from tunesweep.config.search import SearchConfig
from tunesweep.search.running import SearchSweep
from tunesweep.search.trials import Proposal
from tunesweep.sweep.plan import Plan, make_plan


def search(
    context: HydraContext,
    task: TaskFunction,
    config: DictConfig,
    arguments: list[str],
    settings: SearchConfig,
) -> list[list[JobReturn]]:
    """Launch what the strategy proposes until it proposes nothing more; return a batch for each launch."""
    source = proposals(context.config_loader, config, arguments, settings)
    first = source.strategy.propose([])
    composed = [source.compose(proposal) for proposal in first]
    begun = _named(source, settings, _plan(source, first, composed))
    options = _sweep._report([cfg for _, cfg in composed])
    frozen: _sweep.Frozen = {}  # grows with the trials
    launcher = _sweep._launcher(context, task, config, frozen)
    batches: list[list[JobReturn]] = []
    with SearchSweep(begun, arguments, options, settings, source.strategy) as running:
        asked = running.known() or first
        while asked:
            composed = [source.compose(proposal) for proposal in asked]
            batch = _plan(source, asked, composed)
            todo = running.ready(running.add(asked, batch))
            for point, (words, cfg) in zip(batch.points, composed, strict=True):
                frozen.setdefault(words, _sweep._freeze(cfg, point))
            returns = _sweep._launch_stage(launcher, running, todo, sum(map(len, batches)))
            batches.append([returns.get(p.overrides) or _sweep._completed(p, frozen) for p in batch.points])
            asked = running.next()
    running.raise_failures()
    return batches


def _plan(source: Proposals, asked: Sequence[Proposal], composed: Sequence[Composed]) -> Plan:
    """Check and identify proposals, and call each by what tells it apart."""
    pairs = zip(asked, composed, strict=True)
    batch = make_plan([_sweep._planned(words, source.place(p), cfg) for p, (words, cfg) in pairs])
    for proposal, point in zip(asked, batch.points, strict=True):
        point.config.runtime.point.name = source.name(proposal)
    return batch


def _named(source: Proposals, settings: SearchConfig, first: Plan) -> Plan:
    """Return an empty plan with the id of the search: space, sampler, seed and budget, and its first runs.

    The first runs stand for everything that no word of the command says: data, weights, defaults.
    """
    parts = {
        "settings": asdict(settings),
        "searched": source.identity,
        "first": [point.run_id for point in first.points],
    }
    return Plan(first.store, [], {}, search_id=identity.digest(parts))
