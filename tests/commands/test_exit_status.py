"""The exit status of every command, and the page that lists them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from typer.main import get_command
from typer.testing import CliRunner, Result

import tunesweep
from command_line import CommandLine, fail
from golden_store import GOLDEN, HEAD, LORA
from tunesweep import train
from tunesweep.cli import app
from tunesweep.report import render

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "commands.md").read_text()
COMMANDS = sorted(get_command(app).commands)
CHECKS = [
    *("python", "packages", "launchers", "store", "cache", "disk", "weights", "data", "wandb", "hub"),
    *("device", "bf16", "bitsandbytes"),
]


def called(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_page_lists_every_command() -> None:
    assert sorted(re.findall(r"^\| `tunesweep (\w+)` \|", PAGE, re.MULTILINE)) == COMMANDS
    readme = (ROOT / "README.md").read_text()
    row = re.findall(r"^\| (`tunesweep .+?) \|", readme, re.MULTILINE)
    assert sorted(re.findall(r"`(?:tunesweep )?(\w+)`", " ".join(row))) == COMMANDS


def test_the_page_lists_every_check_of_the_doctor() -> None:
    table = PAGE.partition("| check |")[2]
    rows = re.findall(r"^\| (`.+?) \|", table, re.MULTILINE)
    assert re.findall(r"`(\w+)`", " ".join(rows)) == CHECKS


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_that_there_is_not_is_status_2(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    needed = {"new": ["method", "mine"], "extend": ["s1", "seed=1"], "compare": ["a", "b"], "import": ["x"]}
    needed |= {name: ["a"] for name in ("export", "reproduce")} | {"predict": ["a", "b"]}
    found = called(command, *needed.get(command, []), "--nonsense")
    assert found.exit_code == 2, found.output
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_there_is_not_is_status_2() -> None:
    assert called("nonsense").exit_code == 2
    assert called("compare", LORA).exit_code == 2  # one of two arguments


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["report", "--sweep", "absent"], 1),
        (["report", "--all"], 0),
        (["watch", "--once"], 0),
        (["recommend", "--all", "--minutes", "0.000001"], 0),
        (["compare", LORA, HEAD], 0),
        (["compare", LORA, "absent"], 1),
        (["export", "absent"], 1),
        (["predict", "absent", "file.csv"], 1),
        (["reproduce", "absent"], 1),
        (["verify", "absent"], 1),
        (["folds"], 1),
        (["serving", "absent"], 1),
        (["wandb", "absent", "--offline"], 1),
        (["import", "absent"], 1),
        (["extend", "absent", "seed=1"], 1),
    ],
    ids=lambda words: " ".join(words[:2]) if isinstance(words, list) else "",
)
def test_what_a_command_cannot_do_is_status_1(words: list[str], status: int, tmp_path: Path) -> None:
    shutil.copytree(GOLDEN, tmp_path / "store")
    found = called(*words, "--store", tmp_path / "store")
    assert found.exit_code == status, found.output


def test_a_failed_run_is_status_1_of_the_sweep_and_0_of_its_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = CommandLine(monkeypatch, tmp_path)
    assert command("method=bitfit", "plan=true").status == 0
    command.task = fail
    assert command("method=bitfit").status == 1
    assert command("method=bitfit", "lora.rank=3").status == 1
    assert command("method=bitfit", "--nonsense").status == 2
    monkeypatch.setattr(train, "_carry_out", _interrupted)
    assert command("method=bitfit").status == 130


def _interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_ctrl_c_is_status_130(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "report", _interrupted)
    assert called("report", "--store", GOLDEN).exit_code == 130


def test_the_version_is_printed_and_is_the_same_everywhere() -> None:
    said = called("--version")
    assert (said.exit_code, said.stdout) == (0, f"tunesweep {tunesweep.__version__}\n")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert tunesweep.__version__ == project["version"] == str(citation["version"])


def test_hydra_has_a_version_of_its_own() -> None:
    command = [sys.executable, str(ROOT / "train.py"), "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert said.stdout.startswith("Hydra ")
