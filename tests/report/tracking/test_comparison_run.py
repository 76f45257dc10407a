"""The comparison in W&B is the report's: its tables, its pictures, its page."""

from __future__ import annotations

import json

import pytest
from made_store import fill
from offline_runs import Mirrored, mirrored
from PIL import Image

from tunesweep.config import WandbConfig
from tunesweep.report import render
from tunesweep.report.rows import Scope
from tunesweep.report.table import Table
from tunesweep.report.tracking.comparison import send_comparison
from tunesweep.store import Store

OFFLINE = WandbConfig("offline")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return fill(Store(tmp_path_factory.mktemp("made") / "store"), 30, examples=50)


@pytest.fixture(scope="module")
def table(store: Store) -> Table:
    return render.build(store, Scope("made"))


@pytest.fixture(scope="module")
def told(store: Store) -> Mirrored:
    assert send_comparison(store, Scope("made"), OFFLINE) is None
    return mirrored(store.root)["sweep-made"]


def test_it_is_a_run_of_the_sweep(told):
    assert told.started["run_group"] == "made"
    assert told.started["job_type"] == "comparison"
    assert set(told.started["tags"]) == {"sweep:made", "comparison"}
    assert [line.get("exit_code", 0) for line in told.of("exit")] == [0]


def test_each_block_is_the_reports_table(told, table):
    assert len(table.blocks) == 3
    for number, block in enumerate(table.blocks, 1):
        sent = told.tables[f"block{number}_comparison"]
        lines = [dict(zip(sent["columns"], line, strict=True)) for line in sent["data"]]
        assert len(lines) == len(block.rows) < len(block.runs)  # merged over seeds
        for line, row in zip(lines, block.rows, strict=True):
            assert line["runs"].split() == [run["run_id"] for run in row.runs or (row,)]
            for column in block.columns:
                ends = [f"{column.header}, {end}" for end in ("low", "high")]
                if column.key == "interval":
                    assert [line[end] for end in ends] == pytest.approx([row["low"], row["high"]])
                elif isinstance(row[column.key], float):
                    assert line[column.header] == pytest.approx(row[column.key])
                else:
                    assert line[column.header] == row[column.key]


def test_score_ties_and_costs_are_among_its_columns(told):
    columns = told.tables["block1_comparison"]["columns"]
    assert {"accuracy", "± seeds", "tied", "P(best)", "min/epoch", "memory", "on disk", "r"} <= set(columns)


def test_runs_and_notes_come_along(told, table):
    runs = told.tables["runs"]
    place = runs["columns"].index("run_id")
    assert [line[place] for line in runs["data"]] == [row["run_id"] for row in render.raw_rows(table)]
    notes = [tuple(line) for line in told.tables["notes"]["data"]]
    assert ("1", table.blocks[0].title) in notes
    assert {("2", note) for note in table.blocks[1].notes} <= set(notes)


def test_lines_are_charts_of_wandb_with_their_points(told):
    sent = told.tables["block1_training_train_loss_table"]
    assert sent["columns"] == ["line", "point", "x", "y", "low", "high", "front"]
    of_full = [line for line in sent["data"] if line[0].startswith("method=full")]
    assert [line[2] for line in of_full] == [1, 2, 3]
    charts = json.dumps(told.of("config"))
    assert "_wandb.visualize.block1_training_train_loss" in charts
    assert '"panelDefId": "wandb/lineseries/v0"' in charts


def test_what_wandb_cannot_draw_is_an_image(told):
    assert "block1_memory_bytes_table" not in told.tables  # points that colours tell apart, and a front
    for name in ("block1_memory_bytes_picture", "block1_rank_picture"):  # and intervals
        image = Image.open(told.folder / "files" / told.summary[f"{name}.path"])
        assert image.format == "PNG"
        assert image.size == (told.summary[f"{name}.width"], told.summary[f"{name}.height"])
        assert len(image.convert("RGB").getcolors(1 << 24)) > 10  # it is not blank


def test_the_page_is_whole(told):
    page = (told.folder / "files" / told.summary["report.path"]).read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "Sweep made" in page
    assert "wandb" not in page.split("<body")[0]  # W&B has put nothing of its own into the head


def test_names_are_such_that_wandb_can_sort_by_them(told):
    assert all(name.isidentifier() and name.isascii() for name in told.keys)


def test_a_store_that_cannot_be_read_is_said(tmp_path):
    said = send_comparison(Store(tmp_path), Scope("gone"), OFFLINE)
    assert said is not None
    assert "holds no sweep yet" in said
