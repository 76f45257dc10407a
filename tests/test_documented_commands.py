"""Commands, budgets and keys that the documentation shows are those that the program knows."""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.types import RunMode
from omegaconf import DictConfig
from typer.main import get_command

from documented_pages import CONF, PAGES, README, blocks, lay_out
from hydra_plugins.tunesweep._points import points
from hydra_plugins.tunesweep._proposals import proposals
from hydra_plugins.tunesweep._templates import TemplateLoader
from tunesweep import capabilities, door, identity
from tunesweep.cli import app
from tunesweep.config import RunConfig
from tunesweep.data.readers import load


def commands() -> list[Any]:
    """Return every `python train.py ...` of the documentation, without what is not of Hydra's grammar."""
    lines = [
        (page, line)
        for page, block in blocks("bash")
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith("python train.py")
    ]
    return [
        pytest.param(shlex.split(line)[2:], id=f"{page}-{number}", marks=_marks(page))
        for number, (page, line) in enumerate(lines)
    ]


def _marks(page: str) -> tuple[Any, ...]:
    """Pages of studies are made from records of the very command that they show."""
    return (pytest.mark.slow,) if page.startswith("docs/studies/") else ()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One folder for all commands, of which none writes anything."""
    found = tmp_path_factory.mktemp("documented")
    lay_out(found)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(found)
        yield found


@functools.cache
def loading(folder: Path) -> tuple[TemplateLoader, DictConfig]:
    """Return what composes points, and the configuration of a command without words: all read once."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
    return TemplateLoader(loader), master(loader, [], folder)


def master(loader: Any, words: list[str], folder: Path) -> DictConfig:
    """Return the configuration that a command begins with."""
    search = f"hydra.searchpath=[file://{folder}]"
    config: DictConfig = loader.load_configuration("config", [*words, search], run_mode=RunMode.MULTIRUN)
    config.hydra.overrides.hydra = [search]
    return config


def compose(words: list[str], folder: Path) -> list[RunConfig]:
    """Plan a command up to its checked points, as the sweeper would."""
    if "--config-dir" in words:  # the folder of the page, which is searched in any case
        place = words.index("--config-dir")
        assert words[place + 1] == "."
        words = words[:place] + words[place + 2 :]
    words = [word for word in words if word != "-m"]
    quick, config = loading(folder)
    if any(word.startswith("search=") for word in words):
        config = master(quick.inner, [word for word in words if "," not in word], folder)
        settings = door.to_search(config)
        assert settings is not None
        found = proposals(quick.inner, config, words, settings)  # what it would try first
        return [point(found.compose(first)[1]) for first in found.strategy.propose([])]
    return [point(quick.load_sweep_config(config, list(found))) for found in points(quick, config, words)]


def point(cfg: Any) -> RunConfig:
    cfg.runtime.point.uses_lora = door.takes_rank(cfg)
    return door.to_run_config(cfg)


def without_absent_launchers(words: list[str]) -> list[str]:
    Plugins.instance().discover(Launcher)  # which makes known what is installed
    known = [f"hydra/launcher={Path(name).stem}" for name in ConfigStore.instance().list("hydra/launcher")]
    if all(word in known for word in words if word.startswith("hydra/launcher=")):
        return words
    return [word for word in words if not word.lstrip("+").startswith(("hydra/", "hydra."))]


@pytest.mark.parametrize("words", commands())
def test_every_command_composes_into_possible_points_and_reads_its_files(
    words: list[str], folder: Path
) -> None:
    for config in compose(without_absent_launchers(words), folder):
        capabilities.check(config)
        if config.dataset.name == "files" and "hub:" not in str(config.dataset.train):
            splits = load(config.dataset, 0)
            assert len(splits.train) >= 2
            assert len(set(splits.train.labels)) >= 2 or not splits.labels


def test_there_are_commands_to_test() -> None:
    assert len(commands()) > 25


def test_the_commands_that_ask_about_runs_have_the_options_named() -> None:
    known = {name: {o for p in c.params for o in p.opts} for name, c in get_command(app).commands.items()}
    asked = [
        line.split() for _, block in blocks("bash") for line in block.splitlines() if line[:9] == "tunesweep"
    ]
    assert {name for _, name, *_ in asked} == set(known)
    for _, name, *words in asked:
        assert {word for word in words if word.startswith("--")} <= known[name]


def test_the_documented_counts_of_points_are_right(folder: Path) -> None:
    planned = compose(["-m", "method=full,lora", "lora.r=4,8,16"], folder)
    runs = {identity.run_id(config, "same weights", "same data") for config in planned}
    assert len(planned) == 6
    assert len(runs) == 4
    assert "this command plans four runs, not six" in README


@pytest.mark.parametrize("method", sorted(p.stem for p in (CONF / "method").glob("*.yaml")))
def test_methods_page_has_the_budgets_of_conf(method: str, folder: Path) -> None:
    row = next(line for line in PAGES["docs/methods.md"].splitlines() if line.startswith(f"| `{method}` |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    chosen = compose([f"method={method}"], folder)[0].method
    budget = chosen.budget
    if not chosen.trained:
        assert cells[2:4] == ["–", "–"]
        return
    assert (float(cells[2]), int(cells[3]), budget.warmup) == (budget.lr, budget.epochs, 0.06)


def test_keys_named_in_the_pages_exist(folder: Path) -> None:
    config = compose(["dataset=digits", "encoding=pixels_rows"], folder)[0]
    groups = "model|method|lora|dataset|readout|train|runtime|seeds"
    named = {key for text in PAGES.values() for key in re.findall(rf"`({groups})\.([a-z_]+)", text)}
    assert len(named) > 30
    unknown = [f"{group}.{key}" for group, key in named if not hasattr(getattr(config, group), key)]
    assert set(unknown) <= {"train.py"}  # the file
