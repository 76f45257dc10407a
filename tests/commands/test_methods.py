"""`tunesweep methods`: the matrix as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from tunesweep.capabilities import cells, why_not
from tunesweep.capabilities.catalogue import methods
from tunesweep.cli import app

ROOT = Path(__file__).parents[2]
METHODS = methods([ROOT / "conf"])


def printed(*words: str) -> str:
    done = CliRunner().invoke(app, ["methods", *words])
    assert done.exit_code == 0, done.output
    return done.output


def row(text: str, method: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.split()[:1] == [method])
    return line.split()[1:]


def test_every_method_has_a_row() -> None:
    text = printed()
    for name in METHODS:
        assert row(text, name)
    assert all(len(line) <= 120 for line in text.splitlines())


def test_a_row_says_what_the_rules_say() -> None:
    text = printed()
    yes, no = "●", "·"
    #                                encoder           decoder           encoder-decoder
    assert row(text, "lora")[:12] == [yes, yes, yes, no, *[yes] * 4, *[yes] * 4]
    assert row(text, "lora")[12:] == ["of", "a", "run", "yes", "yes", "PEFT", "format", "yes"]
    assert row(text, "prefix_tuning")[:12] == [yes, yes, no, no, *[yes] * 4, no, no, yes, yes]
    assert row(text, "prefix_tuning")[12:] == [no, "yes", "–", "PEFT", "format", "–"]
    assert row(text, "full")[12:] == [yes, "–", "yes", "the", "whole", "model", "–"]
    assert row(text, "zero_shot")[:12] == [no, no, yes, no, *[no, no, yes, yes] * 2]
    assert row(text, "zero_shot")[12:] == [no, "yes", "yes", "nothing", "–"]


def test_json_has_every_cell_with_its_reason() -> None:
    found = json.loads(printed("--json"))
    wanted = [(cell, why_not(cell)) for cell in cells(METHODS)]
    assert len(found["cells"]) == len(wanted) == 960
    for entry, (cell, because) in zip(found["cells"], wanted, strict=True):
        assert (entry["method"], entry["family"], entry["readout"]) == (
            cell.method,
            cell.family,
            cell.readout,
        )
        assert (entry["allowed"], entry["because"]) == (because is None, because)
    assert found["methods"]["qlora"] == {"kept": "PEFT format", "merges": True}
    assert found["methods"]["bitfit"] == {"kept": "safetensors of what changed", "merges": False}
    assert found["methods"]["bottleneck"]["kept"] == "safetensors of the layers"
    assert found["methods"]["few_shot"]["kept"] == "nothing"


def test_a_method_of_ones_own_falls_in(tmp_path: Path) -> None:
    (tmp_path / "method").mkdir()
    (tmp_path / "method" / "mine.yaml").write_text(
        "name: mine\ntrains: x\npeft: {_target_: peft.PromptTuningConfig, num_virtual_tokens: 4}\n"
    )
    text = printed("--config-dir", str(tmp_path))
    assert row(text, "mine") == row(text, "prompt_tuning")


def test_the_table_is_made_without_torch() -> None:
    code = (
        "import sys\nfrom tunesweep.commands.methods import show\nshow(False)\n"
        "print(sorted({'torch', 'peft', 'transformers', 'pytorch_lightning'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_file_that_is_no_yaml_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "method").mkdir()
    (tmp_path / "method" / "mine.yaml").write_text("peft: [")
    done = CliRunner().invoke(app, ["methods", "--config-dir", str(tmp_path)])
    assert done.exit_code == 1
    assert "mine.yaml is no YAML" in done.stderr
    assert len(done.stderr.splitlines()) == 1
