"""Workspace and report ask for nothing but what was logged."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from made_store import fill
from offline_runs import Mirrored, mirrored

from tunesweep.config import WandbConfig
from tunesweep.errors import BadConfig, StorageError
from tunesweep.report.rows import Scope
from tunesweep.report.tracking import dashboards, saving
from tunesweep.report.tracking.dashboards import Subject, subject
from tunesweep.report.tracking.upload import upload
from tunesweep.store import Store

OFFLINE = WandbConfig("offline", entity="us")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    found = fill(Store(tmp_path_factory.mktemp("made") / "store"), 30, examples=50)
    upload(found, Scope("made"), OFFLINE, lambda _: None)
    return found


@pytest.fixture(scope="module")
def told(store: Store) -> dict[str, Mirrored]:
    return mirrored(store.root)


@pytest.fixture(scope="module")
def about(store: Store) -> Subject:
    return subject(store, Scope("made"))


@pytest.fixture
def written(store: Store, about: Subject) -> dict[str, Any]:
    """What is written without a service: of an entity the library would ask it."""
    settings = replace(OFFLINE, entity=None)
    said = list(saving.save(store, about, saving.KINDS, settings))
    paths = {kind: store.root / "reports" / "made" / f"wandb-{kind}.json" for kind in saving.KINDS}
    assert said == [f"{kind}: {path}" for kind, path in paths.items()]
    return {kind: json.loads(path.read_text()) for kind, path in paths.items()}


def sections(workspace: dict[str, Any]) -> list[dict[str, Any]]:
    return workspace["spec"]["section"]["panelBankConfig"]["sections"]


def grids(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [block["metadata"] for block in report["spec"]["blocks"] if block["type"] == "panel-grid"]


def panels(spec: dict[str, Any]) -> list[dict[str, Any]]:
    found = sections(spec) if "section" in spec["spec"] else []
    parts = found or [grid["panelBankSectionConfig"] for grid in grids(spec)]
    return [panel for part in parts for panel in part["panels"]]


def named(panel: dict[str, Any]) -> Iterator[str]:
    """Yield everything that a panel asks runs for, as summary:KEY or config:PATH."""
    config = panel["config"]
    for name in config.get("metrics", []):
        yield f"summary:{name}"
    if panel["viewType"] == "Run History Line Plot":
        yield f"summary:{config['xAxis']}"
    else:
        yield from (config[axis] for axis in ("xAxis", "yAxis") if axis in config)
    yield from (column["accessor"] for column in config.get("columns", []))
    if config.get("groupBy"):
        yield f"config:{config['groupBy']}"
    yield from (f"summary:{name}" for name in config.get("mediaKeys", []))
    text = json.dumps(config)
    asked = r'"name": "tableKey", "value": "(\w+)"|"nodeType": "const", "type": "string", "val": "(\w+)"'
    yield from (f"summary:{one or other}" for one, other in re.findall(asked, text))


def logged(name: str, told: dict[str, Mirrored]) -> bool:
    """Whether any run has what is asked for."""
    kind, _, key = name.partition(":")
    if kind == "summary":
        return any(key in run.keys for run in told.values())
    path = key.replace(".value", "", 1).split(".")
    return any(has(run.config, path) for run in told.values())


def has(config: Any, path: list[str]) -> bool:
    for step in path:
        if not isinstance(config, dict) or step not in config:
            return False
        config = config[step]
    return True


@pytest.mark.parametrize("kind", saving.KINDS)
def test_each_panel_asks_for_what_was_logged(kind, written, told):
    shown = panels(written[kind])
    assert len(shown) > 30
    asked = {id(panel): list(named(panel)) for panel in shown}
    assert all(asked.values())  # none that this test cannot read
    assert [name for names in asked.values() for name in names if not logged(name, told)] == []


def test_a_panel_that_asks_for_something_else_would_be_found(about, told):
    odd = replace(about.topics[0], score="score_of_nothing", curves=("curve_absent",))
    built = dashboards.workspace(replace(about, topics=(odd,)), replace(OFFLINE, entity=None))
    spec = {"spec": built._to_model().spec.model_dump(mode="json", by_alias=True, exclude_none=True)}
    missing = {name for panel in panels(spec) for name in named(panel) if not logged(name, told)}
    assert missing == {"summary:score_of_nothing", "summary:curve_absent"}


def test_the_workspace_has_a_section_for_each_block(written, about):
    found = {section["name"]: section["panels"] for section in sections(written["workspace"])}
    assert list(found) == [*(block.title for block in about.table.blocks), "Comparison"]
    first = found[about.table.blocks[0].title]
    titles = [panel["config"]["chartTitle"] for panel in first]
    assert titles[:3] == ["accuracy by method", "accuracy along all settings", "accuracy against rank"]
    assert {"accuracy against memory above the loaded model", "training loss", "loss on select"} <= set(
        titles
    )
    kinds = {panel["viewType"] for panel in first}
    assert kinds == {"Bar Chart", "Parallel Coordinates Plot", "Scatter Plot", "Run History Line Plot"}


def test_no_panel_mixes_scores_that_do_not_compare(written, told, about):
    """Each score has the name of its block: exactly the runs of that block have it."""
    of_run = {row["run_id"]: number for number, b in enumerate(about.table.blocks) for row in b.runs}
    for number, known in enumerate(about.topics):
        having = {run for run, mirror in told.items() if known.score in mirror.keys}
        assert having
        assert {of_run[run] for run in having} == {number}


def test_the_workspace_groups_by_method_and_keeps_to_the_sweep(written):
    (runs,) = written["workspace"]["spec"]["section"]["runSets"]
    assert [key["name"] for key in runs["grouping"]] == ["comparable.value", "method.value.name"]
    (only,) = runs["filters"]["filters"]
    assert (only["key"], only["value"]) == ({"section": "run", "name": "tags"}, ["sweep:made"])


def test_the_report_has_text_table_and_the_runs_of_each_block(written, about, told):
    report = written["report"]
    texts = [block["content"] for block in report["spec"]["blocks"] if block["type"] == "markdown-block"]
    assert "train.py method=full,lora" in texts[0]
    for text, block in zip(texts[1:], about.table.blocks, strict=False):
        assert text.startswith(f"## {block.title}")
        assert all(note in text for note in block.notes if "<" not in note and "|" not in note)
    *of_blocks, last = grids(report)
    for grid, known in zip(of_blocks, about.topics, strict=True):
        (runs,) = grid["runSets"]
        assert [key["name"] for key in runs["grouping"]] == ["method.value.name"]
        tags = [each["value"][0] for each in runs["filters"]["filters"]]
        assert tags == ["sweep:made", f"block:{known.comparable}"]
        assert any(set(tags) <= set(mirror.started["tags"]) for mirror in told.values())
    (of_comparison,) = last["runSets"]
    keys = {each["key"]["name"]: each["value"] for each in of_comparison["filters"]["filters"]}
    assert keys == {"tags": ["sweep:made"], "jobType": "comparison"}


def test_one_block_of_a_whole_store_needs_no_filter(tmp_path):
    found = fill(Store(tmp_path / "store"), 6, examples=20)
    built = dashboards.workspace(subject(found, Scope(all=True)), replace(OFFLINE, entity=None))
    assert built.name == "tunesweep all runs"
    assert built.runset_settings.filters == ""
    assert [str(key.name) for key in built.runset_settings.groupby] == ["method.name"]


def test_a_block_without_a_score_has_no_panels(tmp_path):
    found = fill(Store(tmp_path / "store"), 1)  # a point that was not carried out
    about = subject(found, Scope("made"))
    assert about.topics == (None,)
    built = dashboards.report(about, replace(OFFLINE, entity=None))
    assert [type(block).__name__ for block in built.blocks].count("PanelGrid") == 1  # the comparison's


def test_without_the_package_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr(dashboards, "find_spec", lambda _: None)
    with pytest.raises(BadConfig, match="wandb-workspaces is not installed: pip install wandb-workspaces"):
        dashboards.check_installed()


def test_a_library_that_fails_is_a_sentence(monkeypatch, store, about):
    def refuse(*_: Any) -> Any:
        raise ValueError("no such project")

    monkeypatch.setattr(dashboards, "workspace", refuse)
    with pytest.raises(StorageError, match="the W&B workspace cannot be built: no such project"):
        list(saving.save(store, about, ("workspace",), OFFLINE))
