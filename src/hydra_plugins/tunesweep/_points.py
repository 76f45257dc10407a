"""From a command line and an experiment's blocks to points: tuples of Hydra overrides."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from tunesweep import door
from tunesweep.errors import BadConfig, suggest

Words = tuple[str, ...]
CHOOSERS = ("experiment", "scale")
DECIDING = (*CHOOSERS, "scales", "blocks")
LABEL = re.compile(r"(?![0-9a-f]{16}$)[A-Za-z][\w-]*")  # never like a run id
BLOCK = "must be a list of overrides such as ['method=lora', 'lora.r=4,8'], or {label: NAME, points: [...]}"


@dataclass
class Place:
    """Where a point stands: the words that chose its experiment, and the labels of its blocks there."""

    experiment: Words
    labels: set[str] = field(default_factory=set)


def points(loader: ConfigLoader, config: DictConfig, arguments: Sequence[str]) -> dict[Words, Place]:
    """Return the union of every block's product with the command line, each point once, in order."""
    found: dict[Words, Place] = {}
    for experiment, label, words in spaces(loader, config, arguments):
        for point in _product(loader, words):
            found.setdefault(point, Place(experiment)).labels.update(label)
    return found


def spaces(
    loader: ConfigLoader, config: DictConfig, arguments: Sequence[str]
) -> Iterator[tuple[Words, Words, Words]]:
    """Yield the words that chose the experiment, the label and the sweep's words, of each block."""
    command = parse(loader, arguments)
    for experiment in _experiments(loader, command):
        words = _lines(o for o in command if o.key_or_group not in CHOOSERS) + experiment
        for label, block in _blocks(loader, config, words):
            yield experiment, label, _replaced(loader, block, command) + words


def parse(loader: ConfigLoader, words: Sequence[str]) -> list[Override]:
    return list(OverridesParser.create(config_loader=loader).parse_overrides(list(words)))


def _lines(overrides: Iterable[Override]) -> Words:
    return tuple(str(override.input_line) for override in overrides)


def _product(loader: ConfigLoader, words: Words) -> Iterator[Words]:
    overrides = parse(loader, words)
    for override in overrides:
        if override.is_interval_sweep():
            raise BadConfig(
                f"{override.input_line} has no end of values: add search=optuna, or list some with commas"
            )
    batches = BasicSweeper.split_arguments(overrides, None)
    yield from (tuple(point) for batch in batches for point in batch)


def _experiments(loader: ConfigLoader, command: Sequence[Override]) -> list[Words]:
    """`experiment=a,b` is a union, as is `scale`: each is composed on its own, for its own blocks."""
    chosen = _lines(o for o in command if o.key_or_group in CHOOSERS)
    return list(_product(loader, chosen)) if chosen else [()]


def _blocks(loader: ConfigLoader, config: DictConfig, words: Words) -> list[tuple[Words, Words]]:
    """Return labels and words of an experiment's blocks.

    Other keys are left out: they may fit only what a block chooses.
    """
    deciding = [word for word in words if word.lstrip("+~").split("=")[0].split(".")[0] in DECIDING]
    composed = loader.load_sweep_config(config, deciding) if deciding else config
    if composed.scale != "full" and composed.scale not in composed.scales:
        options = (
            suggest(composed.scale, composed.scales) if composed.scales else "an experiment that has scales"
        )
        raise BadConfig(f"scale={composed.scale} is not an option: choose {options}")
    return [_block(block) for block in composed.blocks] or [((), ())]


def _block(block: Any) -> tuple[Words, Words]:
    """Return the label, none or one, and the overrides of a block: a list, or a mapping with a label."""
    # Unresolved: `lora.alpha=${lora.r}` in a block means each point's own rank, as on the command line.
    content = OmegaConf.to_container(block, resolve=False) if OmegaConf.is_config(block) else block
    if not isinstance(content, dict):
        return (), _overrides(content, content)
    if set(content) != {"label", "points"}:
        raise BadConfig(f"block {content} {BLOCK}")
    label = content["label"]
    if not isinstance(label, str) or not LABEL.fullmatch(label):
        raise BadConfig(
            f"label {label} of a block must be a word: a letter, then letters, digits, '_' or '-'"
        )
    return (label,), _overrides(content["points"], content)


def _overrides(words: Any, block: Any) -> Words:
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise BadConfig(f"block {block} {BLOCK}")
    door.check_words(words)
    return tuple(words)


def _replaced(loader: ConfigLoader, block: Words, command: Sequence[Override]) -> Words:
    """Drop from a block what the command line says anew; a group given there also drops its keys."""
    given = {o.key_or_group for o in command}

    def kept(override: Override) -> bool:
        key = override.key_or_group
        return key not in given and key.split(".")[0] not in given

    return _lines(filter(kept, parse(loader, block)))
