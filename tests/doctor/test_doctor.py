"""`tunesweep doctor`: its lines, its status, what it loads, and that it runs where packages are missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tunesweep.cli import app
from tunesweep.doctor import access, examine, packages
from tunesweep.doctor.finding import FAILS, NOTE, OK, Finding
from tunesweep.doctor.probe import Answer, Probe

SRC = Path(__file__).parents[2] / "src"
CHECKS = [
    *("python", "packages", "launchers", "store", "cache", "disk", "weights", "data", "wandb", "hub"),
    *("device", "bf16", "bitsandbytes"),
]


def doctor(*words: str) -> Result:
    return CliRunner().invoke(app, ["doctor", *words])


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process, no network: torch has answered, and so has the hub."""

    class Heard(Probe):
        def __init__(self) -> None:
            pass

        def __exit__(self, *_: object) -> None:
            pass

        def answer(self) -> Answer:
            return Answer("2.13.0", threads=2, bitsandbytes="0.50.0")

    monkeypatch.setattr(examine, "Probe", Heard)
    monkeypatch.setattr(access, "hub", lambda: Finding("hub", OK, "it answers"))


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def put(*findings: Finding) -> None:
        def some(_: Path) -> Iterator[Finding]:
            yield from findings

        monkeypatch.setattr(examine, "examine", some)

    return put


def test_this_installation_can_carry_out_the_main_sweep(tmp_path: Path) -> None:
    """With the real process that loads torch; the tests are without a network, which is a note."""
    said = doctor("--json", "--store", str(tmp_path / "store"))
    findings = [Finding(**each) for each in json.loads(said.stdout)]
    assert [each.check for each in findings] == CHECKS
    assert [each for each in findings if each.status == FAILS] == []
    assert said.exit_code == 0
    assert next(each for each in findings if each.check == "hub").status == NOTE
    assert not (tmp_path / "store").exists()


def test_each_check_is_one_line(heard: None, tmp_path: Path) -> None:
    said = doctor("--store", str(tmp_path / "store"))
    assert said.exit_code == 0
    lines = said.stdout.splitlines()
    assert [line.split()[1] for line in lines] == CHECKS
    assert {line.split()[0] for line in lines} <= {"ok", "note"}


def test_only_what_would_stop_the_main_sweep_makes_the_status_1(found: Callable[..., None]) -> None:
    found(Finding("hub", NOTE, "it does not answer", "connect once"))
    assert (doctor().exit_code, doctor().stdout) == (
        0,
        "note   hub           it does not answer: connect once\n",
    )
    found(
        Finding("hub", NOTE, "a"), Finding("disk", FAILS, "0.0 GB free", "free\nsome"), Finding("b", OK, "c")
    )
    assert doctor().exit_code == 1
    assert doctor().stdout.splitlines()[1] == "fails  disk          0.0 GB free: free some"
    assert [each["status"] for each in json.loads(doctor("--json").stdout)] == [NOTE, FAILS, OK]
    assert doctor("--json").exit_code == 1


def test_a_check_that_needs_a_missing_package_says_so(
    heard: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def absent() -> Finding:
        raise ImportError("No module named 'packaging'")

    monkeypatch.setattr(packages, "python", absent)
    said = doctor("--store", str(tmp_path))
    assert said.exit_code == 1
    assert said.stdout.startswith(
        "fails  python        it cannot be asked (No module named 'packaging'): install"
    )
    assert len(said.stdout.splitlines()) == len(CHECKS)


def python(code: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(SRC), "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )


def test_torch_is_loaded_in_the_other_process_alone(tmp_path: Path) -> None:
    said = python(
        "import sys\nfrom tunesweep.cli import app\n"
        f"app(['doctor', '--store', {str(tmp_path)!r}], standalone_mode=False)\n"
        "print('HEAVY', sorted({'torch', 'transformers', 'bitsandbytes', 'wandb'} & set(sys.modules)))"
    )
    assert "HEAVY []" in said.stdout
    assert "4-bit weights work here" in said.stdout


def test_it_runs_as_a_module_where_the_command_does_not(tmp_path: Path) -> None:
    said = python(
        "import runpy, sys\n"
        "for name in ('typer', 'omegaconf', 'hydra', 'orjson', 'numpy'):\n    sys.modules[name] = None\n"
        f"sys.argv = ['doctor', {str(tmp_path)!r}]\n"
        "from tunesweep.doctor import examine\n"
        "from tunesweep.doctor.probe import Answer, Probe\n"
        "Probe.answer = lambda self: Answer('2.13')\n"
        "runpy.run_module('tunesweep.doctor', run_name='__main__')"
    )
    assert said.returncode == 1, said.stderr
    lines = said.stdout.splitlines()
    assert any(line.startswith("ok     python") for line in lines)
    assert any(line.startswith("fails  inputs        it cannot be asked") for line in lines)
    assert "Traceback" not in said.stderr
