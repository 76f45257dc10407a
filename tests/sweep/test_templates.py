"""Points composed from templates are those that Hydra composes."""

from __future__ import annotations

from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from hydra_plugins.tunesweep._templates import TemplateLoader
from tunesweep import door

POINTS = (
    ("method=lora", "lora.r=4"),
    ("lora.r=16", "method=qlora", "train.lr=1e-4"),
    ("+dataset.label_names.0=bad", "dataset.limit={train: 8}", "~encoding.cut"),
    ("lora=r16", "lora.alpha=${lora.r}", "seed=3", "hydra.job.chdir=false"),
)


@pytest.fixture(scope="module")
def loaders() -> Any:
    door.register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(door.conf_folder()), version_base="1.3"):
        master = compose("config", overrides=["runtime.cache=x"], return_hydra_config=True)
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        yield hydra.config_loader, TemplateLoader(hydra.config_loader), master


@pytest.mark.parametrize("words", POINTS)
def test_a_template_gives_what_hydra_gives(loaders: Any, words: tuple[str, ...]) -> None:
    plain, ours, master = loaders
    for _ in range(2):  # the second time from a template that is there
        found, wanted = (loader.load_sweep_config(master, list(words)) for loader in (ours, plain))
        assert OmegaConf.to_yaml(found) == OmegaConf.to_yaml(wanted)


def test_values_of_one_point_do_not_reach_the_next(loaders: Any) -> None:
    _, ours, master = loaders
    ours.load_sweep_config(master, ["lora.r=4"])
    assert ours.load_sweep_config(master, ["train.lr=1"]).lora.r == 8


def test_dataclasses_are_the_same_by_either_way(loaders: Any) -> None:
    cfg = loaders[1].load_sweep_config(loaders[2], ["method=qlora", "lora.r=4", "train.lr=1"])
    untyped = OmegaConf.create(
        OmegaConf.to_container(OmegaConf.masked_copy(cfg, [k for k in cfg if k != "hydra"]))
    )
    assert OmegaConf.get_type(untyped) is dict
    assert door.to_run_config(cfg) == door.to_run_config(untyped)
