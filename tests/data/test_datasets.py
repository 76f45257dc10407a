"""The data sets of conf/dataset: each composes, and its local copy has the rows that were published."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tunesweep.config import RunConfig
from tunesweep.data.examples import Splits
from tunesweep.data.location import data_folder, fingerprint, locations
from tunesweep.data.quality import quality
from tunesweep.data.readers import load
from tunesweep.errors import BadConfig

Make = Callable[..., RunConfig]
CONF = Path(__file__).parents[2] / "conf" / "dataset"
NLI = ["entailment", "neutral", "contradiction"]

# Rows in all of train and select, rows of test (0: cut from the same file), encoding, readout, classes.
# Counts are those of the data folder's README; of a running text, its lines and what follows the last one.
LOCAL: dict[str, tuple[int, int, str, str, list[str]]] = {
    "multi_nli": (8999, 1000, "pair", "head", NLI),
    "snli": (8999 + 1000, 9842, "pair", "head", NLI),
    "sick": (4500 + 500, 4927, "pair", "head", NLI),
    "rte": (2490, 277, "pair", "head", ["entailment", "not_entailment"]),
    "sst2": (60_614 + 6735, 872, "text", "head", ["negative", "positive"]),
    "ag_news": (10_001, 0, "text", "head", ["World", "Sports", "Business", "Sci/Tech"]),
    "trec": (5452, 500, "text", "head", ["ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"]),
    "sms_spam": (5574, 0, "text", "head", ["ham", "spam"]),
    "imdb": (800, 200, "text", "head", ["negative", "positive"]),
    "wikitext2": (2119 + 1, 3760 + 1, "blocks", "generate", []),
    "tiny_shakespeare": (40_000 + 1, 0, "blocks", "generate", []),
    "alpaca": (5000, 0, "instruction", "generate", []),
    "dolly": (6400, 0, "instruction", "generate", []),
    "gsm8k": (7473, 0, "instruction", "generate", []),
    "preference": (2930, 0, "preference", "head", ["a", "b", "tie"]),
}
OTHERS = {"reviews", "files", "digits", "mnist", "fashion_mnist"}


def test_every_data_set_is_here() -> None:
    assert {path.stem for path in CONF.glob("*.yaml")} == {*LOCAL, *OTHERS}


@pytest.mark.parametrize("name", LOCAL)
def test_without_local_copies_the_hub_is_named(
    name: str, make_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TUNESWEEP_DATA", raising=False)
    config = make_config(f"dataset={name}")
    assert config.dataset.path is None
    assert set(config.dataset.files) <= {"train", "select", "test"}
    assert all(place.startswith("hub:") for place in locations(config.dataset).values())
    assert (config.encoding["name"], config.readout.name, config.dataset.labels or []) == LOCAL[name][2:]


@pytest.mark.data
@pytest.mark.parametrize("name", LOCAL)
def test_a_local_copy_has_the_published_rows(
    name: str, make_config: Make, monkeypatch: pytest.MonkeyPatch, data_folder: Path, tmp_path: Path
) -> None:
    monkeypatch.setenv("TUNESWEEP_DATA", str(data_folder))
    config = make_config(f"dataset={name}")
    splits = load(config.dataset, 0)
    train, test, *_, labels = LOCAL[name]
    rows = quality(splits)["rows"]
    assert rows["train"] + rows["select"] == train - (0 if test else rows["test"])
    assert rows["test"] == (test or round(0.2 * train)) or name == "preference"
    assert splits.labels == labels
    assert set(splits.train.labels) == set(labels) or not labels
    assert all(str(text).encode() is not None for text in splits.test.inputs)
    assert len(fingerprint(config.dataset, tmp_path)) == 64


@pytest.fixture
def local(make_config: Make, monkeypatch: pytest.MonkeyPatch, data_folder: Path) -> Callable[..., Splits]:
    monkeypatch.setenv("TUNESWEEP_DATA", str(data_folder))
    return lambda name, *words: load(make_config(f"dataset={name}", *words).dataset, 0)


@pytest.mark.data
def test_running_texts_are_the_files_to_the_byte(local: Callable[..., Splits], data_folder: Path) -> None:
    test = "\n".join(map(str, local("wikitext2").test.inputs)).encode()
    # As published beside the file.
    assert (
        hashlib.sha256(test).hexdigest() == "4cd0f6876d07a413aa911261ff6d363c72d757d47f0fdd6015702014c89cb9c7"
    )
    plays = local("tiny_shakespeare")
    whole = [*plays.train.inputs, *plays.select.inputs, *plays.test.inputs]
    expected = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
    assert hashlib.sha256("\n".join(map(str, whole)).encode()).hexdigest() == expected


@pytest.mark.data
def test_no_prompt_of_the_comparisons_stands_on_two_sides(local: Callable[..., Splits]) -> None:
    splits = local("preference")
    parts = (splits.train, splits.select, splits.test)
    prompts = [{text[0] for text in part.inputs} for part in parts]
    assert sum(map(len, prompts)) == len(set.union(*prompts)) == 283
    assert len(splits.test) / 2930 == pytest.approx(0.2, abs=0.02)
    found = quality(splits)
    assert sum(found["converted"].values()) == 6  # booleans where a response should be: 4 and 2 cells
    assert sum(found["empty"].values()) > 0
    labels = [label for part in parts for label in part.labels]
    assert [labels.count(name) for name in ("a", "b", "tie")] == [1023, 1030, 877]


@pytest.mark.data
def test_rows_of_the_instructions(local: Callable[..., Splits]) -> None:
    alpaca = local("alpaca", "dataset.select_fraction=0.1")
    parts = (alpaca.train, alpaca.select, alpaca.test)
    assert sum(text[1] == "" for part in parts for text in part.inputs) == 3057
    assert sum(quality(alpaca)["empty_answers"].values()) == 2
    assert all(isinstance(text, str) for text in local("dolly").train.inputs)
    assert all("\n#### " in answer for answer in local("gsm8k").train.labels)


@pytest.mark.data
def test_labels_of_the_local_copies_have_the_names_of_the_hub(local: Callable[..., Splits]) -> None:
    sick = local("sick")
    assert (sick.train.inputs[0][0][:15], sick.train.labels[0]) == ("A group of kids", "neutral")
    assert [local("sst2").test.labels[row] for row in (0, 1)] == ["positive", "negative"]
    assert local("imdb").train.labels[0] == "negative"
    assert local("snli", "dataset.limit.train=30").train.labels.count("neutral") == 10


# ---- dataset.path, files and local, through the door ----


def test_a_folder_of_local_copies_stands_in_for_the_hub(make_config: Make, tmp_path: Path) -> None:
    (tmp_path / "train_5500.label").write_bytes(
        "NUM:date When was caf\xe9 ?\nHUM:ind Who ?\n".encode("latin-1")
    )
    (tmp_path / "TREC_10.label").write_text("HUM:ind Who was it ?\n")
    found = make_config("dataset=trec", f"dataset.path={tmp_path}", "dataset.select_fraction=0.5").dataset
    assert (found.charset, found.label, found.select) == ("latin-1", "label", None)
    assert locations(found) == {
        "train": str(tmp_path / "train_5500.label"),
        "test": str(tmp_path / "TREC_10.label"),
    }
    assert found.labels == ["ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"]


def test_the_variable_names_the_folder_of_all_copies(
    make_config: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mnli").mkdir()
    monkeypatch.setenv("TUNESWEEP_DATA", str(tmp_path))
    assert data_folder("mnli") == str(tmp_path / "mnli")
    assert make_config("dataset=multi_nli").dataset.train == str(tmp_path / "mnli" / "train.jsonl")
    assert data_folder("trec") is None  # no such folder: the hub
    assert make_config("dataset=trec").dataset.train == "hub:CogComp/trec#train"
    assert (
        make_config("dataset=multi_nli", "dataset.path=null").dataset.train == "hub:nyu-mll/multi_nli#train"
    )
    monkeypatch.setenv("TUNESWEEP_DATA", "")
    assert data_folder("mnli") is None


def test_a_data_set_without_local_form_says_what_to_give(make_config: Make, tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=r"dataset=reviews has no local form: give dataset\.train=PATH"):
        make_config("dataset=reviews", f"dataset.path={tmp_path}")


def test_a_key_of_the_local_form_that_is_none_is_refused(make_config: Make, tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=r"dataset\.local=.*charst"):
        make_config("dataset=trec", f"dataset.path={tmp_path}", "+dataset.local.charst=utf-8")
