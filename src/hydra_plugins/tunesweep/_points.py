"""From a command line and an experiment's blocks to points: tuples of Hydra overrides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from tunesweep.errors import BadConfig

Words = tuple[str, ...]


def points(loader: ConfigLoader, config: DictConfig, arguments: Sequence[str]) -> list[Words]:
    """Return the union of every block's product with the command line, each point once, in order."""
    command = _parse(loader, arguments)
    found: dict[Words, None] = {}
    for experiment in _experiments(loader, command):
        words = tuple(o.input_line for o in command if o.key_or_group != "experiment") + experiment
        for block in _blocks(loader, config, command, words):
            found |= dict.fromkeys(_product(loader, _replaced(loader, block, command) + words))
    return list(found)


def _parse(loader: ConfigLoader, words: Sequence[str]) -> list[Override]:
    return list(OverridesParser.create(config_loader=loader).parse_overrides(list(words)))


def _product(loader: ConfigLoader, words: Words) -> Iterator[Words]:
    batches = BasicSweeper.split_arguments(_parse(loader, words), None)
    yield from (tuple(point) for batch in batches for point in batch)


def _experiments(loader: ConfigLoader, command: Sequence[Override]) -> list[Words]:
    """`experiment=a,b` is a union: each is composed on its own, for its own blocks."""
    chosen = [o.input_line for o in command if o.key_or_group == "experiment"]
    return list(_product(loader, tuple(chosen))) if chosen else [()]


def _blocks(loader: ConfigLoader, config: DictConfig, command: Sequence[Override], words: Words) -> list[Words]:
    swept = {o.input_line for o in command if o.is_sweep_override()}
    composed = loader.load_sweep_config(config, [word for word in words if word not in swept])
    blocks = OmegaConf.to_container(composed.blocks, resolve=True)
    assert isinstance(blocks, list)
    for block in blocks:
        if not isinstance(block, list) or not all(isinstance(word, str) for word in block):
            raise BadConfig(f"block {block} must be a list of overrides such as ['method=lora', 'lora.r=4,8']")
    return [tuple(block) for block in blocks] or [()]


def _replaced(loader: ConfigLoader, block: Words, command: Sequence[Override]) -> Words:
    """Drop from a block what the command line says anew; a group given there also drops its keys."""
    given = {o.key_or_group for o in command}

    def kept(override: Override) -> bool:
        key = override.key_or_group
        return key not in given and key.split(".")[0] not in given

    return tuple(o.input_line for o in _parse(loader, block) if kept(o))
