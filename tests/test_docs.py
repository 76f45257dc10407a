"""What the documentation says is true: lists, links, commands, snippets and figures."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.types import RunMode
from typer.main import get_command

from documented_files import FILES
from hydra_plugins.tunesweep._points import points
from hydra_plugins.tunesweep._proposals import proposals
from hydra_plugins.tunesweep._templates import TemplateLoader
from tunesweep import capabilities, door, identity
from tunesweep.build import build
from tunesweep.cli import app
from tunesweep.config import RunConfig
from tunesweep.data.readers import load
from tunesweep.point import run
from tunesweep.store import SUFFIXES

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"
README = (ROOT / "README.md").read_text()
PAGES = {str(p.relative_to(ROOT)): p.read_text() for p in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]}
# What each group of conf/ may be swept over; the rest of conf/ is Hydra's own.
GROUPS = sorted(p.name for p in CONF.iterdir() if p.is_dir() and p.name != "hydra")
# Written by docs/make_studies.py from runs that take longer than the tests: of each experiment that says what
# its table shows.
STUDIES = {
    f"docs/studies/{path.stem}.md"
    for path in CONF.glob("experiment/*.yaml")
    if "report" in yaml.safe_load(path.read_text())
}
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(language: str) -> Iterator[tuple[str, str]]:
    for page, text in PAGES.items():
        yield from ((page, found[2]) for found in FENCE.finditer(text) if found[1] == language)


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


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work where a user of the documentation would: with the files, the model and the methods it names."""
    monkeypatch.chdir(tmp_path)
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    pd.read_csv(tmp_path / "mine.csv").to_parquet(tmp_path / "mine.parquet")
    (tmp_path / "my_model").mkdir()
    sizes = {"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072}
    (tmp_path / "my_model" / "config.json").write_text(json.dumps(sizes))
    (tmp_path / "method").mkdir()
    for name, method in own_methods().items():
        (tmp_path / "method" / f"{name}.yaml").write_text(method)
    return tmp_path


def own_methods() -> dict[str, str]:
    """Return the methods that the documentation shows as examples, by name."""
    found = {yaml.safe_load(block).get("name"): block for _, block in blocks("yaml") if "\nbudget:" in block}
    assert set(found) == {"loha"}
    return found


def compose(words: list[str], folder: Path) -> list[RunConfig]:
    """Plan a command up to its checked points, as the sweeper would."""
    GlobalHydra.instance().clear()
    if "--config-dir" in words:  # the folder of the page, which is searched in any case
        place = words.index("--config-dir")
        assert words[place + 1] == "."
        words = words[:place] + words[place + 2 :]
    words = [word for word in words if word != "-m"]
    search = f"hydra.searchpath=[file://{folder}]"
    with initialize_config_dir(str(CONF), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        plain = [word for word in words if "," not in word]
        config = loader.load_configuration("config", [*plain, search], run_mode=RunMode.MULTIRUN)
        config.hydra.overrides.hydra = [search]
        if (settings := door.to_search(config)) is not None:  # what it would try first
            found = proposals(loader, config, words, settings)
            return [point(found.compose(first)[1]) for first in found.strategy.propose([])]
        quick = TemplateLoader(loader)
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


@pytest.mark.parametrize("group", GROUPS)
def test_readme_lists_every_member_of_a_group_and_no_other(group: str) -> None:
    row = next(line for line in README.splitlines() if line.startswith(f"| `{group}` |"))
    listed = set(re.findall(r"`([a-z0-9_]+)`", row)) - {group}
    assert listed == {path.stem for path in (CONF / group).glob("*.yaml")}


def test_readme_lists_every_make_target_with_its_line_of_help() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z-]+):.*?## ", makefile, re.MULTILINE)
    listed = re.findall(r"^\| `make ([a-z-]+)`", README, re.MULTILINE)
    assert sorted(listed) == sorted(targets)


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[page]):
        if re.match(r"https?:|mailto:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), f"{page} links to {target}"
        if anchor:
            titles = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", t).strip().lower().replace(" ", "-") for t in titles}


def test_readme_lists_every_folder_of_a_store() -> None:
    rows = [line for line in README.splitlines() if line.startswith("| `")]
    listed = {name for row in rows for name in re.findall(r"`(\w+)/`", row)}
    assert listed == {*SUFFIXES, "cache", "wandb", "hydra"}


def test_every_experiment_shown_begins_as_hydra_wants_it() -> None:
    shown = [block for _, block in blocks("yaml") if "blocks:" in block]
    files = [path.read_text() for path in (CONF / "experiment").glob("*.yaml")]
    assert shown
    assert all(text.startswith("# @package _global_\n") for text in [*shown, *files])


def test_integrity_page_names_every_value_of_a_record(make_config: Any, folder: Path) -> None:
    words = ("train.epochs=1", "train.lr=1e-2", "train.precision=bf16")  # checked in 32 bits as well
    record = run(make_config("dataset=files", *WHOLE, *words))
    assert record.status == "succeeded", record.failure
    listed = PAGES["docs/integrity.md"].split("The values are in the record")[1].split("A key is absent")[0]
    assert set(re.findall(r"`(\w+)`", listed)) - {"integrity"} == set(record.integrity)


def test_the_tree_in_the_readme_names_real_paths() -> None:
    tree = next(block for _, block in blocks("text") if "src/tunesweep/" in block)
    parent = ""
    for line in tree.splitlines():
        name = line.split()[0]
        parent = "" if not line.startswith(" ") else parent
        assert (ROOT / parent / name).exists(), f"{parent}{name}"
        parent = name if not line.startswith(" ") else parent


def test_the_tree_leaves_out_no_folder_of_the_source() -> None:
    tree = next(block for _, block in blocks("text") if "src/tunesweep/" in block)
    folders = {
        path.name for path in (ROOT / "src" / "tunesweep").iterdir() if (path / "__init__.py").exists()
    }
    assert folders <= set(re.findall(r"^  (\w+)/", tree, re.MULTILINE))


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


def test_encodings_page_shows_what_the_encodings_write() -> None:
    text = PAGES["docs/encodings.md"]
    picture = np.array(json.loads(re.search(r"`(\[\[0, 16.*?\]\])`", text)[1]))  # type: ignore[index]
    rows = dict(re.findall(r"^\| `(\w+_(?:flat|rows))` \| `(.*)` \|$", text, re.MULTILINE))
    assert len(rows) == 8
    for name, shown in rows.items():
        spec = yaml.safe_load((CONF / "encoding" / f"{name}.yaml").read_text())
        assert shown.replace("\\|", "|") == build(spec | {"high": 16.0}).encode(picture)


def test_keys_named_in_the_pages_exist(folder: Path) -> None:
    config = compose(["dataset=digits", "encoding=pixels_rows"], folder)[0]
    groups = "model|method|lora|dataset|readout|train|runtime|seeds"
    named = {key for text in PAGES.values() for key in re.findall(rf"`({groups})\.([a-z_]+)", text)}
    assert len(named) > 30
    unknown = [f"{group}.{key}" for group, key in named if not hasattr(getattr(config, group), key)]
    assert set(unknown) <= {"train.py"}  # the file


# Three tokens are fewer than a text of mine.csv has: a snippet that cut none would give other numbers.
SHORT = ["dataset.train=mine.csv", "dataset.text=review", "dataset.label=stars", "encoding.max_length=3"]
WHOLE = SHORT[:-1]
PAIRS = ["dataset.train=pairs.jsonl", "dataset.text=premise", "dataset.text_pair=hypothesis", "encoding=pair"]
SNIPPETS = {
    "peft": (["method=lora", *WHOLE], "PeftModel.from_pretrained(model,"),
    "pair": (["method=lora", *PAIRS], "PeftModel.from_pretrained(model,"),
    "safetensors": (["method=bitfit", *SHORT], "trained.safetensors"),
    "linear": (["method=lora", "readout=linear", *SHORT], "head.safetensors"),
}


@pytest.mark.parametrize("kind", SNIPPETS)
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # a snippet may be short
@pytest.mark.filterwarnings(
    "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"
)  # PEFT's own call
def test_the_lines_that_load_an_adapter_give_the_predictions_of_the_run(
    kind: str, make_config: Any, folder: Path
) -> None:
    options, mark = SNIPPETS[kind]
    budget = ["train=fp32", "train.epochs=1", "train.batch_size=8", "train.lr=1e-2"]
    config = make_config("dataset=files", *options, *budget)
    record = run(config)
    assert record.status == "succeeded", record.failure
    table = pd.read_parquet(Path(config.runtime.store) / record.artefacts["predictions"])
    scope = {"store": config.runtime.store, "run": record.run_id, **scored(config, list(table["id"]))}
    exec(lines_with("find_spec("), scope)
    exec(for_pairs(lines_with(mark)) if kind == "pair" else lines_with(mark), scope)
    probability = scope["logits"].softmax(-1).numpy()
    columns = [f"p:{name}" for name in record.data["labels"]]
    assert probability == pytest.approx(table[columns].to_numpy(), abs=1e-5)


def lines_with(mark: str) -> str:
    """Return the lines of Python on the page of records that have a mark."""
    return next(block for page, block in blocks("python") if mark in block and page == "docs/records.md")


def for_pairs(snippet: str) -> str:
    """Change a snippet as the page says."""
    said = r"For pairs of texts, write `(.+?)` where the lines say `(.+?)`"
    ours, theirs = re.search(said, PAGES["docs/records.md"]).groups()  # type: ignore[union-attr]
    assert theirs in snippet
    return snippet.replace(theirs, ours)


def scored(config: RunConfig, ids: list[str]) -> dict[str, list[str]]:
    """Return the scored inputs in the order of these ids, under the names that the snippets have for them."""
    test = load(config.dataset, config.seeds.split).test
    found = dict(zip(test.ids, test.inputs, strict=True))
    if config.dataset.text_pair is None:
        return {"texts": [found[name] for name in ids]}
    return {name: [found[key][place] for key in ids] for place, name in enumerate(("premises", "hypotheses"))}


def test_the_lines_that_join_predictions_to_texts_find_each_text(
    make_config: Any, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine.csv").write_text(str(FILES["ratings.csv"]))  # of 40 rows "text 0" to "text 39"
    names = ["+dataset.label_names.1=bad", "+dataset.label_names.2=bad", "+dataset.label_names.5=good"]
    left_out = [*names, '+dataset.label_names.3=""', "dataset.limit.test=4"]
    config = make_config("dataset=files", *WHOLE, *left_out)
    test = load(config.dataset, config.seeds.split).test
    Path("predictions").mkdir()
    pd.DataFrame({"id": test.ids}).to_parquet("predictions/one.parquet")
    exec(lines_with("keep_default_na"), {"store": folder, "run": "one"})
    shown = re.findall(r"(train-\d+)\s+(text \d+)$", capsys.readouterr().out, re.MULTILINE)
    assert shown == list(zip(test.ids, test.inputs, strict=True))
    assert len(shown) == 4


def test_the_expected_noise_is_what_transformers_says() -> None:
    from transformers import AutoModelForSequenceClassification

    scope: dict[str, Any] = {}
    exec(lines_with("find_spec("), scope)
    _, said = AutoModelForSequenceClassification.from_pretrained(scope["base"], output_loading_info=True)
    missing = re.findall(r"`(classifier\.\w+)`", PAGES["docs/records.md"])
    assert set(missing) == set(said["missing_keys"])


def test_the_lines_that_compare_two_runs_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "predictions").mkdir()
    ids, label = ["a", "b", "c", "d"], ["x", "y", "x", "y"]
    for name, prediction in (("one", ["x", "y", "x", "x"]), ("two", ["y", "x", "y", "y"])):
        rows = pd.DataFrame({"id": ids, "label": label, "prediction": prediction})
        rows.to_parquet(tmp_path / "predictions" / f"{name}.parquet")
    snippet = next(block for _, block in blocks("python") if "mcnemar" in block)
    exec(snippet, {"store": tmp_path, "runs": ["one", "two"]})
    # Three only the first got right, one only the second: p = 2 * (1 + 4) / 2^4.
    assert "b=3, c=1, p=0.625" in capsys.readouterr().out


def test_no_page_names_what_is_not_for_readers() -> None:
    for page, text in PAGES.items():
        assert not re.search(r"/root/|/home/|\bTODO\b", text), page


def test_the_site_lists_every_page() -> None:
    listed = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    assert sorted(f"docs/{page}" for page in listed) == sorted(p for p in PAGES if p.startswith("docs/"))


def test_every_study_is_introduced() -> None:
    """By name, and by a link to each page that there is."""
    page = PAGES["docs/studies/index.md"]
    assert len(STUDIES) == 6
    assert all(f"`{Path(study).stem}`" in page for study in STUDIES)
    linked = {f"docs/studies/{name}" for name in re.findall(r"\((\w+\.md)\)", page)}
    assert linked == {name for name in PAGES if name.startswith("docs/studies/")} - {"docs/studies/index.md"}
