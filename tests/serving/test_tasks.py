"""Runs of every task, without training, on pixels, of another run's weights: scored again and asked."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from serving.test_loads_alone import LLAMA, run_alone
from serving.test_predict import BERT, stored
from tunesweep.data.images import read_digits
from tunesweep.models.random_models import drawn
from tunesweep.models.tokenizer import load_tokenizer
from tunesweep.serving import loading

pytestmark = pytest.mark.slow
QUICK = ("train.epochs=1", "train.batch_size=8", "train.precision=fp32", "runtime.keep=all")
WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


@pytest.fixture
def sums(tmp_path: Path) -> Path:
    path = tmp_path / "sums.jsonl"
    rows = [
        {"text": f"{a} plus {b}", "answer": WORDS[i % 10]}
        for i, (a, b) in enumerate(zip(WORDS * 6, WORDS[::-1] * 6, strict=True))
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def play(tmp_path: Path) -> tuple[Path, Path]:
    train, test = tmp_path / "train.txt", tmp_path / "test.txt"
    train.write_text(
        "\n".join(f"{a} said to {b} that {c} is small" for a in WORDS for b in WORDS for c in WORDS[:3])
    )
    test.write_text("three said to nine that one is small\nand nine was not told")
    return train, test


def check_again(tunesweep: Any, run: Any) -> None:
    again = tunesweep("verify", "--rescore", run.run_id)
    assert again.exit_code == 0, again.stderr


def alone(run: Any, texts: list[Any], world: Any, folder: Path) -> list[Any]:
    """Return what the adapter's card says of some texts, in a new process."""
    tunesweep, shelf, cache = world
    config, to = loading.config_of(shelf, run), folder / run.run_id
    result = tunesweep("export", run.run_id, "--to", to, "--what", "adapter")
    assert result.exit_code == 0, result.stderr
    base = drawn(config.model, load_tokenizer(config.model, cache), config.seeds.init, cache)
    answer = run_alone([{"folder": str(to), "base": str(base), "texts": texts}], folder)[0]
    assert "error" not in answer, answer
    return answer["results"]


@pytest.fixture
def world(tunesweep: Any, shelf: Any, cache: Path) -> Any:
    return tunesweep, shelf, cache


def test_an_instruction_is_answered_alike_everywhere(finished, world, sums, tmp_path):
    tunesweep, shelf, _ = world
    task = ("dataset=files", "dataset.task=instruction", "encoding=instruction", f"dataset.train={sums}")
    run = finished(
        *LLAMA, *QUICK, *task, "method=lora", "readout=generate", "readout.max_new_tokens=5", few=()
    )
    check_again(tunesweep, run)
    said = stored(run, shelf)
    rows = [json.loads(line) for line in sums.read_text().splitlines()]
    places = [int(name.removeprefix("train-")) for name in said.index]
    assert alone(run, [[rows[i]["text"], ""] for i in places], world, tmp_path) == list(said["text"])
    out = tmp_path / "out.csv"
    result = tunesweep("predict", run.run_id, sums, "--out", out, "--columns", "prediction")
    assert result.exit_code == 0, result.stderr
    assert list(pd.read_csv(out, keep_default_na=False)["prediction"].iloc[places]) == list(said["text"])


def test_running_text_is_as_likely_everywhere(finished, world, play, tmp_path):
    tunesweep, shelf, _ = world
    train, test = play
    task = ("dataset=files", "dataset.task=language_modeling", "encoding=blocks", "encoding.max_length=64")
    files = (f"dataset.train={train}", f"dataset.test={test}", "dataset.format=text")
    run = finished(*LLAMA, *QUICK, *task, *files, "method=lora", "readout=generate", few=())
    check_again(tunesweep, run)
    said = stored(run, shelf)
    assert len(said) == 1
    loss = alone(run, [test.read_text()], world, tmp_path)[0]
    assert loss == pytest.approx(float(said["nll"].iloc[0] / said["tokens"].iloc[0]), abs=1e-4)
    result = tunesweep("predict", run.run_id, test)
    assert (result.exit_code, "models running text" in result.stderr) == (1, True)


def test_solved_examples_are_there_again(finished, tunesweep, shelf, tmp_path):
    run = finished(*LLAMA, "method=few_shot", "method.shots.k=2", "readout=label_words")
    check_again(tunesweep, run)
    nothing = tunesweep("export", run.run_id)
    assert (nothing.exit_code, "trained nothing" in nothing.stderr) == (1, True)
    config = loading.config_of(shelf, run)
    from tunesweep.data import readers

    test = readers.load(config.dataset, config.seeds.split).test
    file, out = tmp_path / "new.parquet", tmp_path / "out.parquet"
    pd.DataFrame({config.dataset.text: test.inputs}).to_parquet(file)
    assert tunesweep("predict", run.run_id, file, "--out", out).exit_code == 0
    found, wanted = pd.read_parquet(out), stored(run, shelf).loc[test.ids]
    np.testing.assert_allclose(found["p:fresh"], wanted["p:fresh"], atol=1e-5)


def test_pictures_are_predicted_from_a_file_of_pictures(finished, tunesweep, shelf, tmp_path):
    run = finished(*QUICK, "model=logistic", "method=full", "dataset=digits", few=())
    check_again(tunesweep, run)
    refused = tunesweep("export", run.run_id)
    assert (refused.exit_code, "has no Hugging Face format" in refused.stderr) == (1, True)
    pictures = read_digits("sklearn:digits")[0]
    file, out = tmp_path / "new-idx3-ubyte", tmp_path / "out.parquet"
    file.write_bytes(bytes([0, 0, 8, 3]) + struct.pack(">3I", *pictures.shape) + pictures.tobytes())
    result = tunesweep("predict", run.run_id, file, "--out", out)
    assert result.exit_code == 0, result.stderr
    said = stored(run, shelf)
    found = pd.read_parquet(out).iloc[[int(name.removeprefix("train-")) for name in said.index]]
    assert list(found["prediction"]) == list(said["prediction"])


def test_an_adapter_on_another_runs_weights_is_exported_with_them(finished, tunesweep, shelf):
    base = finished(*BERT, "method=full", "readout=linear")
    run = finished(*BERT, "method=lora", "readout=linear", f"model.init_from={base.run_id}")
    check_again(tunesweep, run)
    result = tunesweep("export", run.run_id, "--force")
    assert result.exit_code == 0, result.stderr
    folder = shelf.path("exports", run.run_id)
    assert tunesweep("verify", "--rescore", folder).exit_code == 0
    assert f"the exported whole model of run {base.run_id}" in (folder / "adapter" / "README.md").read_text()
