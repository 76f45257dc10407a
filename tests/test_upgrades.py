"""Records of every version there was are read; those of a later one are left alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from command_line import CommandLine
from golden_store import DIVERGED, GOLDEN, HEAD, LORA
from tunesweep.cli import app
from tunesweep.record import RunRecord
from tunesweep.store import Store
from tunesweep.upgrades import SCHEMA_VERSION, STEPS, NewerRecord, upgrade
from tunesweep.verify import verify


@pytest.fixture
def golden(tmp_path: Path) -> Store:
    """Return a copy of the store that version 1 wrote."""
    return Store(shutil.copytree(GOLDEN, tmp_path / "store"))


@pytest.fixture
def newer(tmp_path: Path) -> tuple[Store, Path]:
    """Return a store with a record of tomorrow, and its file."""
    store = Store(tmp_path / "store")
    data = json.loads(RunRecord("a1", "succeeded", "s1", "lora", {}).to_json())
    path = store.path("records", "a1")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(data | {"schema_version": SCHEMA_VERSION + 1, "metrics": ["of a new kind"]}))
    return store, path


def test_there_is_a_step_from_every_version_and_each_leads_to_the_next() -> None:
    assert list(STEPS) == list(range(1, SCHEMA_VERSION))
    for version, step in STEPS.items():
        assert step({"schema_version": version})["schema_version"] == version + 1


def test_a_step_leaves_what_it_was_given_as_it_was() -> None:
    old = {"schema_version": 1, "run_id": "a1"}
    assert upgrade(old) == {"schema_version": 3, "run_id": "a1", "resumed": [], "stopped": ""}
    assert old == {"schema_version": 1, "run_id": "a1"}


def test_the_golden_records_are_of_version_1_and_are_read_with_all_they_say(golden: Store) -> None:
    found = {record.run_id: record for record in golden.records()}
    assert set(found) == {LORA, HEAD, DIVERGED}
    assert golden.problems == []
    for run_id, record in found.items():
        data: dict[str, Any] = json.loads(golden.path("records", run_id).read_text())
        assert data["schema_version"] == 1
        assert "resumed" not in data
        assert vars(record) == data | {"resumed": [], "stopped": "", "schema_version": SCHEMA_VERSION}


def test_the_golden_store_is_reported(golden: Store) -> None:
    rows = CliRunner().invoke(app, ["report", "--all", "--json", "--store", str(golden.root)])
    assert rows.exit_code == 0, rows.stderr
    told = {row["run_id"]: (row["method"], row["score"], row["status"]) for row in json.loads(rows.stdout)}
    # As the table said when it was made: 0.500, 0.500 and a failure.
    assert told == {
        LORA: ("lora", 0.5, "succeeded"),
        HEAD: ("head_only", 0.5, "succeeded"),
        DIVERGED: ("lora", None, "failed"),
    }
    assert CliRunner().invoke(app, ["report", "--store", str(golden.root)]).exit_code == 0


def test_the_golden_store_is_verified(golden: Store) -> None:
    verdict = verify(golden, everything=True)
    assert (verdict.runs, verdict.files, verdict.problems) == (2, 6, [])
    (golden.root / "adapters" / HEAD / "trained.safetensors").write_bytes(b"")
    assert len(verify(golden, everything=True).problems) == 1


def test_a_record_of_tomorrow_is_refused_with_the_remedy(newer: tuple[Store, Path]) -> None:
    store, _ = newer
    with pytest.raises(NewerRecord, match=r"a1.json was written by a later version .*: update tunesweep"):
        store.get("a1")
    assert store.records() == []
    assert "update tunesweep" in store.problems[0]
    result = CliRunner().invoke(app, ["verify", "a1", "--store", str(store.root)])
    assert result.exit_code == 1
    assert "update tunesweep" in result.stderr


def test_a_record_of_tomorrow_is_never_overwritten(newer: tuple[Store, Path]) -> None:
    store, path = newer
    text = path.read_text()
    with pytest.raises(NewerRecord):
        store.put(RunRecord("a1", "succeeded", "s1", "lora", {}))
    assert [file.name for file in path.parent.iterdir()] == ["a1.json"]
    assert path.read_text() == text


def test_a_sweep_over_a_record_of_tomorrow_is_refused_before_it_begins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command = CommandLine(monkeypatch, tmp_path)
    first = command("model=logistic", "method=full", "dataset=digits", "runtime.progress=false")
    assert (first.status, len(first.ran)) == (0, 1)
    path = next(command.store.root.glob("records/*.json"))
    text = json.dumps(json.loads(path.read_text()) | {"schema_version": SCHEMA_VERSION + 1})
    path.write_text(text)
    again = command("model=logistic", "method=full", "dataset=digits", "runtime.force=true")
    assert (again.status, again.ran) == (1, [])
    assert "update tunesweep" in again.said
    assert path.read_text() == text
