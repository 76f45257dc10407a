"""What a machine could read is also printed as JSON, and nothing else is then printed beside it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from golden_store import GOLDEN, HEAD, LORA
from tunesweep.cli import app

# These write files, which are what one reads then, or start a sweep, which ends with a table.
WITHOUT = {"extend", "new", "predict", "wandb"}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "store"))


def test_every_command_that_answers_does_so_as_json_too() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    options = {
        name: [word for each in command.params for word in each.opts] for name, command in commands.items()
    }
    assert {name for name, words in options.items() if "--json" not in words} == WITHOUT


def asked(store: Path, *words: object) -> tuple[int, Any]:
    found = CliRunner().invoke(app, [*map(str, words), "--store", str(store), "--json"])
    return found.exit_code, json.loads(found.stdout)


def test_verify_tells_of_files_and_problems(store: Path) -> None:
    status, found = asked(store, "verify", "--all")
    assert (status, found["problems"]) == (0, [])
    assert found["runs"] > 1
    (written,) = (store / "predictions").glob(f"{LORA}.*")
    written.write_bytes(b"else")
    status, found = asked(store, "verify", LORA)
    assert status == 1
    assert LORA in found["problems"][0]


def test_gc_tells_what_would_go(store: Path) -> None:
    (store / "work" / "0123456789abcdef").mkdir(parents=True)
    (store / "work" / "0123456789abcdef" / "part").write_bytes(b"x" * 10)
    status, found = asked(store, "gc", "--dry-run", "--checkpoints")
    assert (status, found["dry_run"], found["problems"]) == (0, True, [])
    assert found["size"] == sum(item["size"] for item in found["removed"])


def test_import_tells_what_came(store: Path, tmp_path: Path) -> None:
    status, found = asked(tmp_path / "other", "import", store)
    assert status == 0
    assert {LORA, HEAD} <= set(found["runs"])


def test_watch_tells_how_far_a_sweep_is(store: Path) -> None:
    status, found = asked(store, "watch")
    assert status == 0
    assert found["complete"]
    assert set(found["points"]) == set(found["names"])
