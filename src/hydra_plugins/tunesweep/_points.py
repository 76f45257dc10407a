"""From a command line and an experiment's blocks to points: tuples of Hydra overrides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, ListConfig, OmegaConf

from tunesweep import door
from tunesweep.errors import BadConfig, suggest

Words = tuple[str, ...]
CHOOSERS = ("experiment", "scale")
DECIDING = (*CHOOSERS, "scales", "blocks")


def points(loader: ConfigLoader, config: DictConfig, arguments: Sequence[str]) -> list[Words]:
    """Return the union of every block's product with the command line, each point once, in order."""
    command = _parse(loader, arguments)
    found: dict[Words, None] = {}
    for experiment in _experiments(loader, command):
        words = _lines(o for o in command if o.key_or_group not in CHOOSERS) + experiment
        for block in _blocks(loader, config, words):
            found |= dict.fromkeys(_product(loader, _replaced(loader, block, command) + words))
    return list(found)


def _parse(loader: ConfigLoader, words: Sequence[str]) -> list[Override]:
    return list(OverridesParser.create(config_loader=loader).parse_overrides(list(words)))


def _lines(overrides: Iterable[Override]) -> Words:
    return tuple(str(override.input_line) for override in overrides)


def _product(loader: ConfigLoader, words: Words) -> Iterator[Words]:
    batches = BasicSweeper.split_arguments(_parse(loader, words), None)
    yield from (tuple(point) for batch in batches for point in batch)


def _experiments(loader: ConfigLoader, command: Sequence[Override]) -> list[Words]:
    """`experiment=a,b` is a union, as is `scale`: each is composed on its own, for its own blocks."""
    chosen = _lines(o for o in command if o.key_or_group in CHOOSERS)
    return list(_product(loader, chosen)) if chosen else [()]


def _blocks(loader: ConfigLoader, config: DictConfig, words: Words) -> list[Words]:
    """Return an experiment's blocks; other keys are left out, they may fit only what a block chooses."""
    deciding = [word for word in words if word.lstrip("+~").split("=")[0].split(".")[0] in DECIDING]
    composed = loader.load_sweep_config(config, deciding)
    if composed.scale != "full" and composed.scale not in composed.scales:
        options = (
            suggest(composed.scale, composed.scales) if composed.scales else "an experiment that has scales"
        )
        raise BadConfig(f"scale={composed.scale} is not an option: choose {options}")
    return [_block(block) for block in composed.blocks] or [()]


def _block(block: Any) -> Words:
    # Unresolved: `lora.alpha=${lora.r}` in a block means each point's own rank, as on the command line.
    words = OmegaConf.to_container(block, resolve=False) if isinstance(block, ListConfig) else block
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise BadConfig(f"block {words} must be a list of overrides such as ['method=lora', 'lora.r=4,8']")
    door.check_words(words)
    return tuple(words)


def _replaced(loader: ConfigLoader, block: Words, command: Sequence[Override]) -> Words:
    """Drop from a block what the command line says anew; a group given there also drops its keys."""
    given = {o.key_or_group for o in command}

    def kept(override: Override) -> bool:
        key = override.key_or_group
        return key not in given and key.split(".")[0] not in given

    return _lines(filter(kept, _parse(loader, block)))
