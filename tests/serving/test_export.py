"""`tunesweep export`: folders that load elsewhere, a card from the record, and what merging did (R13)."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from serving.conftest import point
from serving.test_predict import BERT, RUN
from tunesweep import identity
from tunesweep.cli import app
from tunesweep.serving import card, loading, reproduce
from tunesweep.store import Store


@pytest.fixture(scope="session")
def exported_once(finished: Any, shelf: Store, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    run, to = finished(*RUN), tmp_path_factory.mktemp("exports") / "out"
    words = ["export", run.run_id, "--to", str(to), "--store", str(shelf.root)]
    result = CliRunner(env={"TUNESWEEP_CACHE": str(cache)}).invoke(app, words)
    assert result.exit_code == 0, result.stderr
    return run, to, result


@pytest.fixture
def exported(exported_once: Any, tmp_path: Path) -> Any:
    """A copy, which a test may break."""
    run, out, result = exported_once
    return run, Path(shutil.copytree(out, tmp_path / "out")), result


def test_both_are_written_and_the_merged_one_is_scored(exported, shelf, tunesweep, tmp_path):
    run, out, result = exported
    assert sorted(path.name for path in out.iterdir()) == ["adapter", "merged"]
    weights = load_file(out / "merged" / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}
    assert not [name for name in weights if "lora" in name]
    told = json.loads((out / "merged" / "config.json").read_text())
    assert told["id2label"] == {"0": "fresh", "1": "rotten"}
    assert told["dtype"] == "bfloat16"
    assert "quantization_config" not in told
    figures = shelf.get(run.run_id).integrity["merge"]["export"]
    assert (figures["n"], figures["metric"]) == (16, "accuracy")
    assert figures["score"] - run.metrics["test"]["accuracy"] == pytest.approx(figures["score_change"])
    assert 0 < figures["probability_change"] < 0.05  # bf16 rounds, and does no more
    assert f"accuracy {figures['score']:.4f} on 16 examples" in result.stdout
    again = tunesweep("verify", "--rescore", out)
    assert (again.exit_code, len(again.stdout.splitlines())) == (0, 2), again.stderr


def test_an_exported_model_with_other_weights_is_found_out(exported, tunesweep):
    from safetensors.torch import save_file

    _, out, _ = exported
    path = out / "merged" / "model.safetensors"
    tensors = load_file(path)
    save_file({k: -v if k == "classifier.weight" else v for k, v in tensors.items()}, path, {"format": "pt"})
    result = tunesweep("verify", "--rescore", out / "merged")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "after merging" in result.stderr


def test_an_export_names_no_place_of_this_machine(exported, cache, shelf):
    _, out, _ = exported
    texts = {path: path.read_text() for path in out.rglob("*") if path.suffix in (".json", ".md")}
    places = {
        str(cache),
        str(shelf.root),
        str(Path.home()),
        str(Path(__file__).parents[2]),
        os.uname().nodename,
    }
    found = [(path.name, place) for path, text in texts.items() for place in places if place in text]
    assert not found
    assert json.loads(texts[out / "adapter" / "adapter_config.json"])["base_model_name_or_path"] is None


def test_a_warning_on_a_card_names_no_folder():
    said = "the checkpoint /home/ann/store/work/1/notes.json was passed over (~/x/y.pt: and/or), 3/4 of it"
    address = "see https://example.org/a/b and hf://a/b, </s> is written 1/2 as often"
    assert card._placeless(address) == address
    assert card._placeless(said) == "the checkpoint notes.json was passed over (y.pt: and/or), 3/4 of it"


def test_the_card_says_what_the_record_says(exported):
    run, out, _ = exported
    text = (out / "merged" / "README.md").read_text()
    test = run.metrics["test"]
    assert f"| accuracy, test split | {test['accuracy']:.4f} |" in text
    assert (
        "| its 95 % interval (scored examples alone) | {:.4f} to {:.4f} |".format(*test["interval"]) in text
    )
    assert f"| accuracy before training | {run.metrics['before']['accuracy']:.4f} |" in text
    assert "train 16, select 8, test 16" in text
    assert f"torch {run.provenance['versions']['torch']}" in text
    assert "a small random model (random_bert), drawn with seed 0, no pretrained weights" in text
    assert f"run `{run.run_id}`" in text


def test_the_command_of_a_card_makes_the_same_run(exported, shelf, cache):
    """The words of the card, composed anew, have the run's identity."""
    run, out, _ = exported
    command = re.search(r"```bash\npython train.py (.*)\n```", (out / "merged" / "README.md").read_text())[1]
    config = point(shelf.root, cache, *command.split())
    identity.identify(config)
    assert config.runtime.point.run_id == run.run_id


def test_files_are_named_without_their_folders(make_config, tmp_path):
    from tunesweep.record import draft

    path = tmp_path / "my films.csv"
    path.write_text("text,label\na,x\nb,y\n")
    names = ("+dataset.label_names.x=good", "+dataset.label_names.y=bad")
    config = make_config("dataset=files", f"dataset.train='{path}'", "lora.r=4", *names)
    command, shortened = reproduce.command(draft(config))
    assert shortened
    assert str(tmp_path) not in command
    words = shlex.split(command)
    assert {"dataset.train='my films.csv'", "lora.r=4", *names} <= set(words)
    assert "lora.alpha" not in command  # it follows


REFUSED = {
    "--what": (["--what", "model"], "--what=model is not an option"),
    "--to": (["--to", "FULL"], "is not empty and holds no export"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_exported_is_one_sentence(finished, tunesweep, tmp_path, name):
    words, message = REFUSED[name]
    (tmp_path / "FULL").mkdir()
    (tmp_path / "FULL" / "mine.txt").write_text("mine")
    words = [str(tmp_path / word) if word == "FULL" else word for word in words]
    result = tunesweep("export", finished(*RUN).run_id, "--force", *words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert message in result.stderr
    assert (tmp_path / "FULL" / "mine.txt").read_text() == "mine"


def test_an_export_is_replaced_only_when_asked(exported, tunesweep):
    run, out, _ = exported
    again = tunesweep("export", run.run_id, "--to", out)
    assert again.exit_code == 1
    assert "--force replaces it" in again.stderr
    forced = tunesweep("export", run.run_id, "--to", out, "--what", "adapter", "--force", "--json")
    assert forced.exit_code == 0, forced.stderr
    assert json.loads(forced.stdout)["folders"] == {"adapter": str(out)}
    assert (out / "adapter_config.json").exists()
    assert not (out / "merged").exists()


def test_what_does_not_merge_is_not_merged(finished, tunesweep):
    run = finished(*BERT, "method=bottleneck", "readout=linear")
    result = tunesweep("export", run.run_id, "--what", "merged")
    assert result.exit_code == 1
    assert "cannot become part of the base's weights; use --what adapter" in result.stderr


def test_a_run_is_rebuilt_from_its_record(finished, shelf: Store, cache):
    run = finished(*RUN)
    config = loading.config_of(shelf, run)
    config.runtime.point.run_id = ""
    identity.identify(config)
    assert config.runtime.point.run_id == run.run_id
