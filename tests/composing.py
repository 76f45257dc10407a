"""Points from the words of a command, as a sweep composes them."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict

from hydra_plugins.tunesweep._templates import TemplateLoader

ROOT = Path(__file__).parents[1]


@functools.cache
def _loader(_: type | None) -> tuple[TemplateLoader, DictConfig]:
    """Return what composes points, and the configuration of a command without words.

    Hydra loads its plugins again for a command in this process, and templates hold classes of theirs: one
    that all plugins bring tells the loaders apart.
    """
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        loader = TemplateLoader(GlobalHydra.instance().config_loader())
    return loader, loader.load_configuration("config", overrides=[], run_mode=RunMode.MULTIRUN)


def _plugin() -> type | None:
    return getattr(sys.modules.get("hydra_plugins.tunesweep.local"), "LocalLauncherConf", None)


def composed(*words: str) -> DictConfig:
    """Compose a point as a sweep does: files that were chosen before are not read again."""
    loader, master = _loader(_plugin())
    cfg = loader.load_sweep_config(master, words)
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg
