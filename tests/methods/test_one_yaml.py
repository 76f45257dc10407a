"""A method that is not shipped: the YAML of docs/extending.md and nothing else, from plan to reload."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

import tiny_cells as tiny
from tunesweep import door
from tunesweep.capabilities import Cell, cells_of, problems, traits, why_not
from tunesweep.capabilities.catalogue import methods
from tunesweep.config import RunConfig
from tunesweep.methods import artefact
from tunesweep.methods.attach import attach, parameter_counts
from tunesweep.methods.merging import merged
from tunesweep.silence import quiet_libraries

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text()
YAML = re.search(r"```yaml\n(name: loha.*?)```", PAGE, re.DOTALL)
Make = Callable[..., RunConfig]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert YAML is not None
    (tmp_path / "mine" / "method").mkdir(parents=True)
    (tmp_path / "mine" / "method" / "loha.yaml").write_text(YAML[1])
    return tmp_path / "mine"


@pytest.fixture
def make(folder: Path) -> Make:
    def compose_one(*words: str) -> RunConfig:
        GlobalHydra.instance().clear()
        place = f"hydra.searchpath=[file://{folder}]"  # what --config-dir sets
        with initialize_config_dir(str(tiny.CONF), version_base="1.3"):
            cfg = compose("config", overrides=[place, "method=loha", "train.precision=fp32", *words])
        cfg.runtime.point.uses_lora = door.takes_rank(cfg)
        return door.to_run_config(cfg)

    return compose_one


def test_it_is_a_point_with_a_rank_and_a_budget(make: Make) -> None:
    config = make("lora.r=4")
    assert list(problems(config)) == []
    assert config.runtime.point.uses_lora
    assert config.train.lr == config.method.budget.lr > 0
    assert (config.method.peft or {})["r"] == 4


def test_it_falls_into_the_matrix_by_its_traits(folder: Path) -> None:
    known = methods([tiny.CONF, folder])
    assert traits(known["loha"]) == traits(known["lora"])
    allowed = {
        name: [why_not(cell) is None for cell in cells_of(name, known[name])] for name in ("loha", "lora")
    }
    assert allowed["loha"] == allowed["lora"]


@pytest.mark.parametrize("family", ["encoder", "decoder", "encoder_decoder"])
def test_it_trains_comes_back_and_merges(make: Make, tmp_path: Path, family: str) -> None:
    config = make(f"model={tiny.MODELS[family]}", "lora.r=2")
    if family == "encoder":
        config.model = replace(config.model, head=["classifier"])
    cell = Cell("loha", traits(config.method), family)
    batch = tiny.rows(family)
    with quiet_libraries():
        network, bare = tiny.build(cell), tiny.build(cell, seed=9)
        attach(network, config)
        adapter = {n: p for n, p in network.named_parameters() if p.requires_grad and "hada_" in n}
        assert parameter_counts(network, config)["adapter"] == sum(p.numel() for p in adapter.values()) > 0
        losses, reached = tiny.learn(network, config, 3e-2)
        assert losses[-1] < losses[0]
        assert set(adapter) <= reached
        said = tiny.says(network, batch)
        artefact.save(network, config, tmp_path / "kept")
        artefact.load(bare, config, tmp_path / "kept")
        torch.testing.assert_close(tiny.says(bare, batch), said, atol=1e-6, rtol=0)
        again = tiny.says(merged(network).float(), batch)
    torch.testing.assert_close(again, said, atol=0.05 * float(said.abs().max()), rtol=0)
    written = json.loads((tmp_path / "kept" / "adapter_config.json").read_text())
    assert written["peft_type"] == "LOHA"
