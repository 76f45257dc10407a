from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lxml import html

from tunesweep.config import DatasetConfig
from tunesweep.data import location, readers
from tunesweep.report import render
from tunesweep.report.html import texts
from tunesweep.report.html.page import page
from tunesweep.report.html.texts import Library
from tunesweep.report.rows import Scope

EVIL = "<img src=x onerror=alert(1)>"
LONG = "word " * 100


@pytest.fixture
def films(tmp_path):
    """A file of four texts, one of which no run scores."""
    path = tmp_path / "films.jsonl"
    lines = [{"text": text, "label": "x"} for text in (EVIL, LONG, "third", "fourth")]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


@pytest.fixture
def run(record, tmp_path):
    """A run of a data set, whose fingerprint is that of now."""

    def made(name="a", **dataset):
        config = DatasetConfig(name="files", **dataset)
        found = record(name)
        found.config["dataset"] = asdict(config)
        if config.modality == "text" and not str(config.train).startswith("hub:"):
            found.data["fingerprint"] = location.fingerprint(config, tmp_path / "hashes")
        return found

    return made


def test_the_text_of_an_example_is_that_of_its_line_and_is_cut(store, run, films):
    found, why = Library(store).texts(run(train=str(films)), ["train-0", "train-1", "train-2"])
    assert (found["train-0"], found["train-2"], why) == (EVIL, "third", "")
    assert found["train-1"] == f"{LONG[:299].rstrip()}…"
    assert set(found) == {"train-0", "train-1", "train-2"}


def test_two_texts_are_shown_as_both(store, run, tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps({"text": "one", "other": "two", "label": "x"}))
    found, _ = Library(store).texts(run(train=str(path), text_pair="other"), ["train-0"])
    assert found == {"train-0": "one | two"}


def test_a_data_set_is_read_once_for_all_blocks_and_runs(store, run, films, monkeypatch):
    read: list[str] = []
    original = readers.read
    monkeypatch.setattr(readers, "read", lambda split, *rest: read.append(split) or original(split, *rest))
    library = Library(store)
    for name in ("a", "b"):
        assert library.texts(run(name, train=str(films)), ["train-3"])[0] == {"train-3": "fourth"}
    assert read == ["train"]


def test_why_there_are_no_texts_is_said(store, run, films, monkeypatch):
    def why(record):
        found, reason = Library(store).texts(record, ["train-0"])
        assert found == {}
        return reason

    kept = run(train=str(films))
    films.write_text(films.read_text() + json.dumps({"text": "new", "label": "x"}))
    assert why(kept) == "the files have changed since"
    again = run(train=str(films))
    monkeypatch.setattr(texts, "LARGEST", 10)
    assert why(again) == "the files are large (0 MB)"
    films.unlink()
    assert why(again).startswith("the files cannot be read here (dataset.train=")
    assert why(run(train="hub:owner/name#train")) == "they are on the hub"
    assert why(run(train="x", modality="image")) == "they are images"
    assert why(None) == "no record says where they are"
    again.config["dataset"] = {"task": "no such task"}
    assert why(again) == "the record does not say where they are"
    again.config["dataset"] = {"name": "files", "train": 5}
    assert why(again).startswith("the files cannot be read here (")
    again.config["dataset"] = None
    assert why(again) == "the record does not say where they are"


def disputed_page(store, fill, run, films):
    """Return the page of two runs that disagree on three examples."""
    records = [run("a", train=str(films)), run("b", train=str(films))]
    records[1].config["train"]["epochs"] = 3
    for record, said in zip(records, ("xxx", "yyy"), strict=True):
        record.artefacts = {"predictions": f"predictions/{record.run_id}.parquet"}
        path = store.path("predictions", record.run_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        table = {"id": [f"train-{n}" for n in range(3)], "label": list("xxx"), "prediction": list(said)}
        pq.write_table(pa.table(table), path)
    fill(store, records)
    return page(store, render.build(store, Scope()))


def test_the_page_shows_texts_as_text_beside_the_answers(store, fill, run, films):
    written = disputed_page(store, fill, run, films)
    assert "<img" not in written
    table = html.fromstring(written).xpath("//table[@class='dispute']")[0]
    assert [cell.text for cell in table.xpath(".//thead//th")] == ["example", "text", "label", "1", "2"]
    assert [cell.text for cell in table.xpath(".//td[@class='text']")][::2] == [EVIL, "third"]
    assert "not shown" not in written


def test_a_page_without_texts_says_so(store, fill, run, films, monkeypatch):
    monkeypatch.setattr(texts, "LARGEST", 1)
    found = html.fromstring(disputed_page(store, fill, run, films))
    panel = found.xpath("string(//div[@data-title='Disagreements'])")
    assert "Their texts are not shown: the files are large" in panel
    heads = [cell.text for cell in found.xpath("//table[@class='dispute']/thead//th")]
    assert heads == ["example", "label", "1", "2"]


def test_texts_are_read_without_torch(store, run, films, tmp_path):

    record = tmp_path / "record.json"
    record.write_text(run(train=str(films)).to_json())
    code = (
        "import sys; from pathlib import Path; from tunesweep.record import RunRecord\n"
        "from tunesweep.report.html.texts import Library; from tunesweep.store import Store\n"
        "record = RunRecord.from_json(Path(sys.argv[1]).read_text())\n"
        "found, why = Library(Store(sys.argv[2])).texts(record, ['train-2'])\n"
        "assert found == {'train-2': 'third'} and not why and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, record, store.root], check=True, capture_output=True)
