"""From a command to a search: its strategy, and how each proposal becomes a configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig

from hydra_plugins.tunesweep import _sweep
from hydra_plugins.tunesweep._points import Place, Words, parse, points, spaces
from hydra_plugins.tunesweep._space import check_swept, split
from tunesweep import capabilities, door
from tunesweep.config import RunConfig
from tunesweep.config.search import HalvingConfig, OptunaConfig, SearchConfig
from tunesweep.errors import BadConfig
from tunesweep.search.halving import HalvingSearch
from tunesweep.search.optuna_sampler import OptunaSearch
from tunesweep.search.space import Space, draws, words
from tunesweep.search.trials import Proposal, Strategy
from tunesweep.sweep.plan import make_plan
from tunesweep.sweep.points import Planned

ELSEWHERE = ("runtime", "search", "hydra")  # words that are no part of what is searched
Composed = tuple[Words, DictConfig]


@dataclass(frozen=True)
class Proposals:
    """A strategy, what its search is known by, and how its proposals are composed and called."""

    strategy: Strategy
    identity: Any
    place: Callable[[Proposal], Place]
    compose: Callable[[Proposal], Composed]
    name: Callable[[Proposal], str]


def proposals(
    loader: ConfigLoader, config: DictConfig, arguments: Sequence[str], settings: SearchConfig
) -> Proposals:
    """Return what a command searches, checked before anything starts."""
    found = list(spaces(loader, config, arguments))
    for *_, block in found:
        check_swept(parse(loader, block))
    if isinstance(settings, OptunaConfig):
        return _by_optuna(loader, config, settings, found)
    return _by_halving(loader, config, settings, _population(loader, config, arguments, settings, found))


def _one(found: Sequence[tuple[Words, Words, Words]], key: str) -> tuple[Place, Words]:
    if len(found) != 1:
        raise BadConfig(
            f"{key} searches one block, and this command has {len(found)}: write its words on the command "
            "line, or use search=halving, which takes every point of all blocks"
        )
    experiment, label, block = found[0]
    return Place(experiment, set(label)), block


def _by_optuna(
    loader: ConfigLoader, config: DictConfig, settings: OptunaConfig, found: Sequence[Any]
) -> Proposals:
    place, block = _one(found, "search=optuna")
    fixed, space = split(parse(loader, block))
    strategy = OptunaSearch(settings, space)
    for chosen in _corners(fixed, space):
        _check(door.to_run_config(_sweep._compose(loader, config, chosen)), space)

    def compose(proposal: Proposal) -> Composed:
        chosen = fixed + proposal.words
        return chosen, _sweep._compose(loader, config, chosen)

    return Proposals(
        strategy,
        {"space": [asdict(d) for d in space], "fixed": sorted(word for word in fixed if _counts(word))},
        lambda _: place,
        compose,
        lambda proposal: " ".join(proposal.words),
    )


def _corners(fixed: Words, space: Space) -> Iterator[Words]:
    """Yield every combination of options, each with the first and the last value of all other keys."""
    groups = [d for d in space if (door.conf_folder() / d.key.lstrip("+")).is_dir()]
    others = [d for d in space if d not in groups]
    for options in product(*(getattr(d, "words", ()) for d in groups)):
        chosen = tuple(d.word(option) for d, option in zip(groups, options, strict=True))
        yield from dict.fromkeys(
            fixed + chosen + tuple(d.word(d.ends[end]) for d in others) for end in (0, 1)
        )


def _counts(word: str) -> bool:
    return word.lstrip("+~").split("=")[0].split(".")[0].split("/")[0] not in ELSEWHERE


def _check(config: RunConfig, space: Space = ()) -> None:
    """Refuse what could not be carried out, or not be compared on the select split."""
    if problems := list(capabilities.problems(config)):
        raise BadConfig("nothing was started: " + "; ".join(problems))
    if not config.method.trained:
        raise BadConfig(
            f"method={config.method.name} is not trained, so it has no score on select to be chosen by: "
            "leave it out of the search, and run it beside"
        )
    task, changed = config.dataset.task, [d.key for d in space if d.key in ("model", "encoding")]
    if task != "classification" and changed:
        raise BadConfig(
            f"{changed[0]} cannot be searched over with task {task}: losses per token of different "
            "tokenizers do not compare; give it one value"
        )


def _population(
    loader: ConfigLoader,
    config: DictConfig,
    arguments: Sequence[str],
    settings: HalvingConfig,
    found: Sequence[Any],
) -> dict[Words, Place]:
    """Return every point of the command, or some drawn from its space."""
    if settings.population is None:
        for *_, block in found:
            _refuse_intervals(parse(loader, block))
        return points(loader, config, arguments)
    place, block = _one(found, "search.population")
    fixed, space = split(parse(loader, block))
    drawn = draws(space, settings.seed, settings.population)
    return {fixed + words(space, values): place for values in drawn}


def _refuse_intervals(overrides: Sequence[Any]) -> None:
    for override in overrides:
        if override.is_interval_sweep():
            raise BadConfig(
                f"{override.input_line} has no end of values: give search.population=N to draw N points"
            )


def _by_halving(
    loader: ConfigLoader, config: DictConfig, settings: HalvingConfig, population: dict[Words, Place]
) -> Proposals:
    """Freeze every point at once: its rungs differ from it in their epochs alone."""
    composed = {chosen: _sweep._compose(loader, config, chosen) for chosen in population}
    planned = [_sweep._planned(chosen, population[chosen], cfg) for chosen, cfg in composed.items()]
    for point in planned:
        _check(point.config)
    members: list[Planned] = list(make_plan(planned, dry=True).members.values())
    _comparable(members)
    epochs = tuple(int(point.config.train.epochs or 0) for point in members)
    strategy = HalvingSearch(settings, tuple(point.overrides for point in members), epochs)

    def words_of(proposal: Proposal) -> str:
        return f"train.epochs={strategy.budget(proposal.rung, proposal.member)}"

    def compose(proposal: Proposal) -> Composed:
        kept = tuple(word for word in proposal.words if not word.lstrip("+").startswith("train.epochs="))
        cfg = deepcopy(composed[proposal.words])
        cfg.train.epochs = strategy.budget(proposal.rung, proposal.member)
        return (*kept, words_of(proposal)), cfg

    return Proposals(
        strategy,
        [point.run_id for point in members],
        lambda proposal: population[proposal.words],
        compose,
        lambda proposal: f"{members[proposal.member].config.runtime.point.name} {words_of(proposal)}",
    )


def _comparable(members: Sequence[Planned]) -> None:
    """Refuse blocks that differ in their data, or that start from one another."""
    names = sorted({point.config.dataset.name for point in members})
    if len({(p.config.runtime.point.data_fingerprint, p.config.seeds.split) for p in members}) > 1:
        raise BadConfig(
            f"dataset={', '.join(names)}: scores on different data or splits do not compare, so halve one "
            "at a time"
        )
    if {point.source for point in members} & {point.run_id for point in members}:
        raise BadConfig(
            "model.init_from lets points start from another point of the search: give the id of a "
            "finished run"
        )
