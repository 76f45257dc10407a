"""Every YAML of conf/ is a point or a sweep that could be carried out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tunesweep.capabilities import problems
from tunesweep.config import RunConfig

Make = Callable[..., RunConfig]
CONF = Path(__file__).parents[1] / "conf"
GROUPS = ("model", "method", "lora", "dataset", "encoding", "readout", "train", "runtime")
MEMBERS = [(group, path.stem) for group in GROUPS for path in sorted((CONF / group).glob("*.yaml"))]

WRITTEN = ("wikitext2", "tiny_shakespeare", "alpaca", "dolly", "gsm8k")  # need a language-model head

# What a member needs beside it, where the defaults do not do.
BESIDE = {
    ("dataset", "files"): ["dataset.train=mine.csv"],
    ("dataset", "mnist"): ["dataset.folder=mnist"],
    ("dataset", "fashion_mnist"): ["dataset.folder=fashion_mnist"],
    **{("dataset", name): ["model=smollm2_135m"] for name in WRITTEN},
    ("encoding", "blocks"): ["dataset=wikitext2", "model=smollm2_135m"],
    ("encoding", "instruction"): ["dataset=alpaca", "model=smollm2_135m"],
    ("encoding", "preference"): ["dataset=preference"],
    ("encoding", "pair"): ["dataset=files", "dataset.train=mine.csv", "dataset.text_pair=other"],
    ("readout", "label_words"): ["model=smollm2_135m"],
    ("readout", "generate"): ["model=smollm2_135m"],
}


def words(group: str, member: str) -> list[str]:
    path = CONF / group / f"{member}.yaml"
    found = [f"{group}={member}", *BESIDE.get((group, member), [])]
    if group == "encoding" and member != "text" and (group, member) not in BESIDE:
        found.append("dataset=digits")
    if group == "model" and "family: vision" in path.read_text():
        found += ["dataset=digits", "method=full"]
    if group == "method" and "trained: false" in path.read_text():
        found += ["model=smollm2_135m", "readout=label_words"]
    return found


@pytest.mark.parametrize(("group", "member"), MEMBERS, ids=[f"{group}={member}" for group, member in MEMBERS])
def test_every_member_of_a_group_is_a_point(make_config: Make, group: str, member: str) -> None:
    config = make_config(*words(group, member))
    assert list(problems(config)) == []
    part = getattr(config, group)
    if group in ("model", "method", "dataset", "readout"):
        assert part.name == member
    if group == "encoding":
        assert part["name"] == member
    if group == "lora":
        assert (f"r{part.r}", part.alpha) == (member, 2 * part.r)


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=lambda path: str(path.relative_to(CONF)))
def test_every_yaml_says_what_it_is(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert isinstance(yaml.safe_load(path.read_text()), dict)
    if path.parent.name not in ("lora", "help"):  # `r: 8` speaks for itself, a help text for all
        assert any(line.startswith("# ") and line != "# @package _global_" for line in lines[:2])


def test_every_folder_of_conf_is_a_known_group() -> None:
    found = {path.name for path in CONF.iterdir() if path.is_dir()}
    assert found == {*GROUPS, "search", "experiment", "hydra"}


@pytest.mark.parametrize("path", sorted((CONF / "method").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_method_has_a_budget_with_its_source(make_config: Make, path: Path) -> None:
    config = make_config(f"method={path.stem}")
    assert 0 < config.train.lr <= 0.1
    assert config.train.epochs >= 1
    assert 0 <= config.train.warmup < 1
    assert any(mark in config.method.budget.source for mark in ("arXiv:", "conf/method/", "docs/"))


def test_the_defaults_are_the_main_sweep_with_one_point(make_config: Make) -> None:
    config = make_config()
    assert (config.model.name, config.method.name, config.dataset.name) == ("minilm", "lora", "reviews")
    assert (config.lora.r, config.lora.alpha, config.readout.name) == (8, 16, "head")
    assert config.dataset.limit.train == 2000
    assert (config.dataset.limit.test, config.train.epochs, config.seed) == (1000, 2, 0)
    assert (config.seeds.init, config.seeds.data, config.seeds.split) == (0, 0, 0)


def test_a_data_set_of_images_picks_an_image_encoding(make_config: Make) -> None:
    assert make_config("dataset=digits").encoding["name"] == "pixels_rows"
    assert make_config("dataset=digits", "encoding=binary_flat").encoding["name"] == "binary_flat"


def test_a_data_set_picks_what_its_task_needs(make_config: Make) -> None:
    for dataset, encoding, readout in (
        ("multi_nli", "pair", "head"),
        ("wikitext2", "blocks", "generate"),
        ("gsm8k", "instruction", "generate"),
        ("preference", "preference", "head"),
    ):
        config = make_config(f"dataset={dataset}", "model=smollm2_135m")
        assert (config.encoding["name"], config.readout.name) == (encoding, readout)
    words = make_config("dataset=multi_nli", "readout=label_words", "encoding=text", "model=smollm2_135m")
    assert (words.encoding["name"], words.readout.name) == ("text", "label_words")  # the command line has it
