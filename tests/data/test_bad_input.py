"""Every bad file is one sentence that says what is wrong and what to do."""

from __future__ import annotations

import bz2
import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from made_files import as_csv, config, idx, write
from pyarrow import parquet

from tunesweep.config import Limit
from tunesweep.data.location import fingerprint
from tunesweep.data.readers import load
from tunesweep.errors import BadConfig, BadData, TunesweepError

HEAD = "text,label\n"


def no_rows() -> bytes:
    """Return a Parquet file that has columns and no rows."""
    sink = io.BytesIO()
    parquet.write_table(
        pa.table({"text": pa.array([], pa.string()), "label": pa.array([], pa.string())}), sink
    )
    return sink.getvalue()


BAD: dict[str, tuple[str, str | bytes, dict[str, Any], type[TunesweepError], list[str]]] = {
    "missing column": ("a.csv", "texts,label\na,x\n", {}, BadData, ["dataset.text=text", "mean 'texts'"]),
    "wrong delimiter": ("a.csv", "text;label\na;x\n", {}, BadData, ["one column", "dataset.delimiter=';'"]),
    "no header": ("a.tsv", "x" * 99 + "\ta\nlong\tb\n", {}, BadData, ["dataset.header=false"]),
    "names without header": ("a.csv", "a,b\n", {"header": False}, BadData, ["one of 0, 1", "numbers"]),
    "short row": ("a.csv", HEAD + "a,x\nb\n", {}, BadData, ["line 3", "1 fields", "expected 2"]),
    "long row": ("a.tsv", "text\tlabel\na\tx\ty\n", {}, BadData, ["line 2", "3 fields"]),
    "open quote": ("a.csv", HEAD + '"a,x\nb,y\n', {}, BadData, ["wrongly quoted", "dataset.quoting=false"]),
    "column twice": ("a.csv", "text,label,text\na,x,b\n", {}, BadData, ["two columns of one name"]),
    "empty file": ("a.csv", "", {}, BadData, ["a.csv is empty"]),
    "only a header": ("a.csv", HEAD, {}, BadData, ["no rows"]),
    "binary file": ("a.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", {}, BadData, ["NUL bytes", "binary"]),
    "NUL in text": ("a.csv", HEAD + "a\0,x\n", {}, BadData, ["NUL bytes"]),
    "latin-1": ("a.csv", "text,label\ncaf\xe9,x\n".encode("latin-1"), {}, BadData, [
        "not utf-8", "byte 0xe9 at position 14", "dataset.charset=latin-1"]),
    "no charset": ("a.csv", HEAD, {"charset": "utf-7b"}, BadConfig, ["dataset.charset=utf-7b"]),
    "broken JSON line": ("a.jsonl", '{"text": "a", "label": "x"}\n{"text": \n', {}, BadData, [
        "line 2 of", "not JSON"]),
    "broken JSON": ("a.json", '[{"text": "a"},\n {"text" "b"}]', {}, BadData, ["line 2 column", "not JSON"]),
    "no records": ("a.json", '["a", "b"]', {}, BadData, ["must hold records"]),
    "uneven columns": ("a.json", '{"text": ["a"], "label": []}', {}, BadData, ["different lengths"]),
    "one class": ("a.csv", HEAD + "a,x\nb,x\n", {}, BadData, ["one class only", "'x'"]),
    "empty label": ("a.csv", HEAD + "a,x\nb,\n", {}, BadData, ["row 1", "no label in column 'label'"]),
    "unlabelled row": ("a.jsonl", '{"text": "a", "label": "x"}\n{"text": "b"}', {}, BadData, [
        "row 1", "no label"]),
    "no text": ("a.jsonl", '{"text": "a", "label": "x"}\n{"label": "y"}', {}, BadData, [
        "row 1", "no value in column 'text'"]),
    "text is a list": ("a.jsonl", '{"text": ["a"], "label": "x"}', {}, BadData, ["a list in column 'text'"]),
    "unknown label": ("a.csv", HEAD + "a,x\nb,y\n", {"label_names": {"x": "X"}}, BadData, [
        "the label 'y'", "dataset.label_names has one of x"]),
    "all left out": ("a.csv", HEAD + "a,x\n", {"label_names": {"x": ""}}, BadData, ["no rows left"]),
    "class twice": ("a.csv", HEAD + "a,x\nb,y\n", {"labels": ["x", "y", "x"]}, BadData, [
        "names a class twice"]),
    "class order": ("a.csv", HEAD + "a,x\nb,y\n", {"labels": ["x", "z"]}, BadData, [
        "dataset.labels lacks 'y'", "x, y"]),
    "pattern": ("a.txt", "x a\noops this one\n", {"pattern": r"(?P<label>\w) (?P<text>.*)"}, BadData, [
        "line 2", "dataset.pattern", "'oops this one'"]),
    "half a pattern": ("a.txt", "x a b\n", {"pattern": r"(?P<label>\w) (?P<text>\w)"}, BadData, ["line 1"]),
    "no pattern": ("a.txt", "x a\n", {"format": "lines"}, BadConfig, ["named groups"]),
    "bad pattern": ("a.txt", "x a\n", {"pattern": "(?P<label>"}, BadConfig, ["regular expression"]),
    "unknown ending": ("a.data", "x a\n", {}, BadConfig, ["dataset.format=auto", "csv, tsv"]),
    "truncated gz": ("a.csv.gz", gzip.compress(as_csv().encode())[:-20], {}, BadData, ["incomplete"]),
    "truncated bz2": ("a.csv.bz2", bz2.compress(as_csv().encode())[:-9], {}, BadData, ["incomplete"]),
    "not a gz": ("a.csv.gz", as_csv(), {}, BadData, ["damaged or incomplete"]),
    "not parquet": ("a.parquet", as_csv(), {}, BadData, ["parquet", "fetch it again"]),
    "parquet without rows": ("a.parquet", no_rows(), {}, BadData, ["no rows: expected"]),
    "not IDX": ("a-images-idx3-ubyte", b"\x89PNG" * 9, {"modality": "image"}, BadData, [
        "not an IDX file", "89504e47"]),
    "too few rows": ("a.csv", HEAD + "a,x\nb,y\n", {}, BadData, ["2 rows", "too few", "dataset.test=PATH"]),
    "no fraction": ("a.csv", as_csv(), {"test_fraction": 0.0}, BadConfig, ["dataset.test_fraction=0"]),
    "limit of one": ("a.csv", as_csv(), {"limit": Limit(train=1)}, BadData, ["dataset.limit.train=1"]),
    "text as image": ("a.csv", "image,label\na,x\n", {"modality": "image"}, BadData, ["not an image"]),
    "long delimiter": ("a.csv", as_csv(), {"delimiter": "::"}, BadConfig, ["one character"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_sentence(tmp_path: Path, name: str) -> None:
    file, content, options, kind, words = BAD[name]
    path = write(tmp_path, file, content)
    if "idx3" in file:
        write(tmp_path, file.replace("images-idx3", "labels-idx1"), idx(np.zeros(2, dtype=np.uint8)))
    with pytest.raises(kind) as caught:
        load(config(path, **options), 0)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_a_label_that_train_lacks_is_named(tmp_path: Path) -> None:
    train = write(tmp_path, "a.csv", as_csv())
    other = write(tmp_path, "b.csv", HEAD + "a,fresh\nb,freshh\n")
    for split in ("select", "test"):
        with pytest.raises(BadData, match=f"dataset.{split} has the label 'freshh'.*fresh, rotten"):
            load(config(train, **{split: str(other)}), 0)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("{folder}/revews.csv", ["does not exist", "reviews.csv"]),
        ("{folder}", ["is a folder", "reviews.csv"]),
        ("{folder}/nowhere/a.csv", ["there is no folder"]),
        ("package:no_such_package/a.csv", ["package 'no_such_package'", "pip install"]),
        ("package:tunesweep/../../secret.csv", ["leaves the package"]),
        ("package:tunesweep/none.csv", ["does not exist"]),
        ("hub:ylecun/mnist", ["hub:OWNER/NAME#SPLIT"]),
        ("sklearn:iris", ["sklearn:digits"]),
    ],
)
def test_a_wrong_location_is_one_sentence(tmp_path: Path, place: str, words: list[str]) -> None:
    write(tmp_path, "reviews.csv", as_csv())
    chosen = config(place.format(folder=tmp_path))
    for ask in (lambda: load(chosen, 0), lambda: fingerprint(chosen, tmp_path / "cache")):
        with pytest.raises((BadData, BadConfig)) as caught:
            ask()
        assert all(word in str(caught.value) for word in words)


def test_a_test_split_without_the_classes_that_were_learned_is_refused(tmp_path: Path) -> None:
    test = write(tmp_path, "b.csv", HEAD + "a,rotten\nb,rotten\n")
    chosen = config(write(tmp_path, "a.csv", as_csv()), test=str(test), train_classes=["fresh"])
    with pytest.raises(BadData, match=r"train_classes=\['fresh'\]: the test split has no row of these"):
        load(chosen, 0)
