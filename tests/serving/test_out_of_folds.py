"""Cross-validation: every example is predicted once, by the run that did not learn from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from tunesweep.cli import app
from tunesweep.predictions import write
from tunesweep.record import RunRecord
from tunesweep.stats.proportion import wilson
from tunesweep.store import Store

PARTS = {  # fold -> id, label, prediction
    0: [("a", "x", "x"), ("b", "y", "x")],
    1: [("c", "x", "x"), ("d", "y", "y"), ("e", "y", "y")],
    2: [("f", "x", "x"), ("g", "x", "y"), ("h", "x", "x")],
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    for fold, rows in PARTS.items():
        put(store, fold, rows)
    store.put_sweep("s1", {"started": "1", "members": [f"r{fold}" for fold in PARTS]})
    return store


def put(
    store: Store, fold: int, rows: list[tuple[str, str, str]], run_id: str = "", **config: Any
) -> RunRecord:
    record = RunRecord(run_id or f"r{fold}", "succeeded", "s1", f"fold {fold}", {})
    dataset = {"name": "d", "folds": len(PARTS), "fold": fold, "limit": {"test": None}}
    record.config = {"dataset": dataset, "method": {"name": "lora"}} | config
    record.data = {"fingerprint": "f", "rows": {"test": len(rows)}}
    record.artefacts = {"predictions": f"predictions/{record.run_id}.parquet"}
    ids, labels, predicted = zip(*rows, strict=True)
    columns = {"label": labels, "prediction": predicted, "p:x": [0.5] * len(rows)}
    write(store.path("predictions", record.run_id), ids, columns)
    store.put(record)
    return record


def folds(store: Store, *words: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["folds", *map(str, words), "--store", str(store.root)])
    return result.exit_code, result.stdout, result.stderr


def test_all_rows_are_joined_and_scored(store, tmp_path):
    status, said, _ = folds(store, "--out", tmp_path / "all.csv")
    assert status == 0
    found = pd.read_csv(tmp_path / "all.csv")
    assert list(found.columns) == ["id", "fold", "label", "prediction", "p:x"]
    rows = [(fold, *row) for fold, part in PARTS.items() for row in part]
    assert list(found[["fold", "id", "label", "prediction"]].itertuples(index=False, name=None)) == rows
    low, high = wilson(6, 8)
    assert f"out-of-fold accuracy 0.750 (95 % interval {low:.3f} to {high:.3f}, Wilson, n = 8)" in said
    spread = pd.Series([1 / 2, 1, 2 / 3]).std()
    assert f"standard deviation over 3 folds {spread:.3f}" in said
    _, machine, _ = folds(store, "--json")
    expected = {"accuracy": 0.75, "low": low, "high": high, "n": 8, "folds": 3, "spread_of_folds": spread}
    assert json.loads(machine) == pytest.approx(expected)


def test_a_fold_that_is_missing_is_one_sentence(store):
    store.put_sweep("s2", {"started": "2", "members": ["r0", "r2"]})
    status, said, problem = folds(store)
    assert (status, said) == (1, "")
    assert "dataset.fold=1 of dataset.folds=3 is missing: sweep dataset.fold=0,1,2" in problem


def test_a_fold_that_failed_is_one_sentence(store):
    record = store.get("r1")
    record.status, record.failure = "failed", {"class": "bug", "message": "m", "log": ""}
    store.put(record)
    assert "run r1 of sweep s1 has no predictions" in folds(store, "s1")[2]


def test_an_example_in_two_folds_is_one_sentence(store):
    put(store, 1, [("c", "x", "x"), ("a", "x", "x")])
    status, _, problem = folds(store)
    assert status == 1
    assert "1 examples were scored in more than one fold (a in folds 0 and 1)" in problem


def test_runs_that_differ_in_more_than_their_fold_are_chosen_from(store):
    put(store, 0, PARTS[0], "other", method={"name": "full"})
    store.put_sweep("s2", {"started": "2", "members": ["other", "r0", "r1", "r2"]})
    status, _, problem = folds(store)
    assert status == 1
    assert "the runs differ in method.name (full, lora)" in problem
    assert folds(store, "--where", "method=lora")[0] == 0


def test_a_limit_on_test_would_leave_gaps(store):
    for fold in PARTS:
        record = store.get(f"r{fold}")
        record.config["dataset"]["limit"]["test"] = 3
        store.put(record)
    assert "dataset.limit.test=3 left rows of every fold out" in folds(store)[2]


def test_another_sweep_is_no_cross_validation(store):
    for fold in PARTS:
        record = store.get(f"r{fold}")
        record.config["dataset"]["folds"] = None
        store.put(record)
    assert "sweep s1 is no cross-validation" in folds(store)[2]


def test_a_real_cross_validation_covers_its_data(finished: Any, shelf: Store, tmp_path: Path) -> None:
    """Each row of the file once, with what the run of its fold said."""
    file = tmp_path / "films.csv"
    texts = [f"film number {i} was {'good' if i % 2 else 'bad'}" for i in range(24)]
    pd.DataFrame({"text": texts, "label": ["yes", "no"] * 12}).to_csv(file, index=False)
    few = (
        "train.epochs=1",
        "train.batch_size=8",
        "train.precision=fp32",
        "dataset=files",
        "model=random_bert",
    )
    words = (*few, f"dataset.train={file}", "method=head_only", "readout=linear", "dataset.folds=2")
    runs = [finished(*words, f"dataset.fold={fold}", few=()) for fold in (0, 1)]
    shelf.put_sweep("folds", {"started": "0", "members": [run.run_id for run in runs]})
    status, said, problem = folds(shelf, "folds", "--out", tmp_path / "all.parquet")
    assert status == 0, problem
    found = pd.read_parquet(tmp_path / "all.parquet")
    assert sorted(found["id"]) == sorted(f"train-{i}" for i in range(24))
    right = sum(run.metrics["test"]["accuracy"] * run.metrics["test"]["n"] for run in runs)
    assert f"out-of-fold accuracy {right / 24:.3f}" in said
