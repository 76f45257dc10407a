"""Real data sets need options only: row counts are those of the data folder's README."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunesweep.config import DatasetConfig
from tunesweep.data.quality import quality
from tunesweep.data.readers import load, read

FOLDER = Path(os.environ.get("TUNESWEEP_DATA") or Path(__file__).parents[2] / ".." / "shared" / "data")

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not FOLDER.is_dir(), reason=f"there is no folder of real data at {FOLDER}"),
]

TREC = {"pattern": r"(?P<label>[A-Z]+):\S+ (?P<text>.*)", "charset": "latin-1"}
PAIR = {"text": "premise", "text_pair": "hypothesis"}
SICK = {"text": "sentence_A", "text_pair": "sentence_B", "label": "entailment_judgment", "format": "tsv"}
RTE = {"text": "sentence1", "text_pair": "sentence2"}
BARE = {"format": "tsv", "header": False}
NLI = {"contradiction", "entailment", "neutral"}

FILES: list[tuple[str, dict[str, Any], int, set[str]]] = [
    ("trec/train_5500.label", TREC, 5452, {"ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"}),
    ("trec/TREC_10.label", TREC, 500, {"ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"}),
    ("sms_spam/SMSSpamCollection", BARE | {"label": "0", "text": "1"}, 5574, {"ham", "spam"}),
    ("sst2_glue/train.tsv", {"text": "sentence"}, 60_614, {"0", "1"}),
    ("sst2_glue/dev.tsv", {"text": "sentence"}, 6735, {"0", "1"}),
    ("sst2_glue/test.tsv", {"text": "sentence"}, 872, {"0", "1"}),
    (
        "ag_news/train_sample_10k.tsv",
        BARE | {"label": "1", "text": "0"},
        10_001,
        {"World", "Sports", "Business", "Sci/Tech"},
    ),
    ("sick/SICK_train.txt", SICK, 4500, {"CONTRADICTION", "ENTAILMENT", "NEUTRAL"}),
    ("sick/SICK_trial.txt", SICK, 500, {"CONTRADICTION", "ENTAILMENT", "NEUTRAL"}),
    ("sick/SICK_test_annotated.txt", SICK, 4927, {"CONTRADICTION", "ENTAILMENT", "NEUTRAL"}),
    ("mnli/train.jsonl", PAIR, 8999, NLI),
    ("mnli/validation.jsonl", PAIR, 1000, NLI),
    ("snli/train.jsonl", PAIR, 8999, NLI),
    ("snli/validation.jsonl", PAIR, 1000, NLI),
    ("snli/official_dev.jsonl", PAIR, 9842, NLI),
    ("rte/train.tsv", RTE, 2490, {"entailment", "not_entailment"}),
    ("rte/dev.tsv", RTE, 277, {"entailment", "not_entailment"}),
    ("imdb_sample/texts.csv", {}, 1000, {"negative", "positive"}),
]


def options(name: str, **more: Any) -> DatasetConfig:
    return DatasetConfig(name="files", train=str(FOLDER / name), **more)


@pytest.mark.parametrize(("name", "more", "rows", "labels"), FILES, ids=[item[0] for item in FILES])
def test_every_row_is_read(name: str, more: dict[str, Any], rows: int, labels: set[str]) -> None:
    examples = read("train", str(FOLDER / name), options(name, **more))
    assert len(examples) == rows
    assert set(examples.labels) == labels
    assert not any("\r" in str(text) for text in examples.inputs)


def test_sms_spam_has_its_spam() -> None:
    name = "sms_spam/SMSSpamCollection"
    examples = read("train", str(FOLDER / name), options(name, **BARE, label="0", text="1"))
    assert Counter(examples.labels) == {"ham": 4827, "spam": 747}


def test_no_fine_label_of_trec_is_left_in_a_text() -> None:
    test = str(FOLDER / "trec" / "TREC_10.label")
    splits = load(options("trec/train_5500.label", select=test, test=test, **TREC), 0)
    lines = (FOLDER / "trec" / "train_5500.label").read_text("latin-1").removesuffix("\n").split("\n")
    fine = {line.partition(":")[2].partition(" ")[0] for line in lines}
    assert len({line.partition(" ")[0] for line in lines}) == 50
    assert splits.train.inputs == [line.partition(" ")[2] for line in lines]
    assert not [text for text in splits.train.inputs if str(text).partition(" ")[0] in fine]
    assert quality(splits)["overlap_with_train"]["test"] == 10  # known, and counted


def test_three_given_splits_of_pairs() -> None:
    places = {
        "select": str(FOLDER / "sick" / "SICK_trial.txt"),
        "test": str(FOLDER / "sick" / "SICK_test_annotated.txt"),
    }
    splits = load(options("sick/SICK_train.txt", **places, **SICK), 0)
    assert quality(splits)["rows"] == {"train": 4500, "select": 500, "test": 4927}
    assert splits.train.inputs[0] == (
        "A group of kids is playing in a yard and an old man is standing in the background",
        "A group of boys in a yard is playing and a man is standing in the background",
    )


def test_mnist_is_whole() -> None:
    splits = load(DatasetConfig(name="mnist", modality="image", folder=str(FOLDER / "mnist")), 0)
    assert quality(splits)["rows"] == {"train": 54_000, "select": 6000, "test": 10_000}
    assert splits.labels == [str(digit) for digit in range(10)]
    assert splits.value_range == (0.0, 255.0)
    # Published: the mean grey value of the 60,000 is 0.1307 of the range.
    pictures = np.concatenate([splits.train.inputs, splits.select.inputs])
    assert pictures.mean(dtype=np.float64) / 255 == pytest.approx(0.1307, abs=5e-5)
    assert splits.test.labels[:5] == ["7", "2", "1", "0", "4"]
