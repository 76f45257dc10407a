"""One point from words, without the command line of Hydra."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from tunesweep import door
from tunesweep.config import RunConfig
from tunesweep.errors import BadConfig
from tunesweep.explain import EXPECTED, explain
from tunesweep.sweep.plan import name_points
from tunesweep.sweep.points import Planned

OF_COMMANDS = ("plan", "search", "hydra")  # what is about a command, and says nothing of a point


def compose(words: Sequence[str], config_dir: Path | str | None = None) -> RunConfig:
    """Return the one point that words make; refuse those that make several, or none."""
    try:
        door.check_words(words)
        _check_one(words)
        with _alone(), hydra.initialize_config_dir(str(door.conf_folder()), version_base="1.3"):
            cfg = hydra.compose("config", [*words, *_search_path(config_dir)], return_hydra_config=True)
        return _point(cfg, words)
    except EXPECTED as error:
        raise BadConfig(explain(error)) from error


def _check_one(words: Sequence[str]) -> None:
    for override in OverridesParser.create().parse_overrides(list(words)):
        word, group = override.input_line, str(override.key_or_group).split(".")[0].split("/")[0]
        if override.is_sweep_override():
            raise BadConfig(f"{word} makes several points: call compose() for each, or give it to train.py")
        if group in OF_COMMANDS:
            raise BadConfig(f"{word} is for a command, and this is one point: give it to train.py")


def _search_path(config_dir: Path | str | None) -> list[str]:
    """Return what `--config-dir` sets."""
    if config_dir is None:
        return []
    folder = Path(config_dir).expanduser().absolute()
    if not folder.is_dir():
        raise BadConfig(f"config_dir={config_dir} is no folder: name one with folders such as method/ in it")
    return [f'hydra.searchpath=["file://{folder}"]']


def _point(cfg: DictConfig, words: Sequence[str]) -> RunConfig:
    if cfg.blocks:
        raise BadConfig(f"an experiment of {len(cfg.blocks)} blocks is no single point: give it to train.py")
    door.check_method_name(cfg)
    cfg.runtime.point.uses_lora = door.takes_rank(cfg)
    config = door.to_run_config(cfg)
    name_points([Planned(tuple(words), config)])
    return config


@contextmanager
def _alone() -> Iterator[None]:
    """Make room for a Hydra of our own, whatever program this is part of."""
    door.register()
    before = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = before
