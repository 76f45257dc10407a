"""`plan=true` and `tunesweep plan`: what a command would do, without doing it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from command_line import CommandLine, fail
from tunesweep.cli import app
from tunesweep.estimate import point

RANKS = ("method=full,lora", "lora.r=4,8")


def planned(command: CommandLine, *words: str) -> dict:
    outcome = command(*words, "plan=json")
    assert (outcome.status, outcome.ran) == (0, [])
    return json.loads(outcome.output)


def test_a_plan_names_every_point_and_carries_nothing_out(command: CommandLine) -> None:
    found = planned(command, *RANKS)
    assert [(p["name"], p["status"]) for p in found["points"]] == [
        ("method=full lora.r=4", "to do"),
        ("method=full lora.r=8", "duplicate"),
        ("method=lora lora.r=4", "to do"),
        ("method=lora lora.r=8", "to do"),
    ]
    first, same, *_ = found["points"]
    assert first["run_id"] == same["run_id"]
    assert first["memory_bytes"] > 0
    assert (same["memory_bytes"], first["minutes"]) == (None, None)
    assert found["totals"]["to_do"] == 3
    assert found["totals"]["unknown"]["minutes"] == 3


def test_a_plan_leaves_no_store_behind(command: CommandLine) -> None:
    outcome = command(*RANKS, "plan=true")
    assert outcome.status == 0
    assert "4 points, 3 runs, 1 duplicates" in outcome.output
    assert not {path.name for path in command.store.root.glob("*")} - {"cache"}


@pytest.mark.parametrize("search", ["search=optuna", "search=halving"])
def test_a_plan_of_a_search_shows_what_it_begins_with_and_leaves_no_store(
    command: CommandLine, search: str
) -> None:
    outcome = command(search, "lora.r=2,4,8", "train.epochs=3", "plan=true")
    assert (outcome.status, outcome.ran) == (0, [])
    assert "what follows depends on what comes of them" in outcome.output
    assert not {path.name for path in command.store.root.glob("*")} - {"cache"}


def test_what_is_finished_and_what_failed_its_checks_are_told_apart(command: CommandLine) -> None:
    command("lora.r=4")
    command.task = lambda config: fail(config, "integrity")
    assert command("lora.r=8").status != 0
    found = {p["name"]: p for p in planned(command, "lora.r=4,8,16")["points"]}
    assert [p["status"] for p in found.values()] == ["finished", "refused", "to do"]
    assert "runtime.force=true" in found["lora.r=8"]["problems"][0]
    shown = command("lora.r=4,8,16", "plan=true").output
    assert "! lora.r=8: it failed its integrity checks" in shown


def test_what_will_not_fit_is_a_warning(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(point, "free_memory", lambda device: 1)
    outcome = command("lora.r=4,8", "plan=true")
    assert outcome.status == 0
    assert outcome.output.count("may not fit") == 2
    assert outcome.output.count("to do (!)") == 2


def test_a_plan_is_no_part_of_a_runs_identity(command: CommandLine) -> None:
    plan = planned(command, "lora.r=4")["points"][0]
    command("lora.r=4")
    assert [record.run_id for record in command.store.records()] == [plan["run_id"]]


def test_a_word_that_is_no_plan_is_refused(command: CommandLine) -> None:
    outcome = command("lora.r=4", "plan=yaml")
    assert outcome.status != 0
    assert "plan=yaml must be true, false or json" in outcome.said


def test_the_command_plans_what_train_would(command: CommandLine, tmp_path: Path) -> None:
    words = [*RANKS, f"runtime.store={tmp_path / 'store'}"]
    result = CliRunner().invoke(app, ["plan", "--json", "-m", *words])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["totals"]["points"] == 4
    shown = CliRunner().invoke(app, ["plan", *words])
    assert "To do: 3 runs" in shown.stdout
