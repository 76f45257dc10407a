"""W&B mirrors the store: offline, one run a point, and never the reason why a result is lost (R8)."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import wandb
from offline_runs import Mirrored, mirrored

from tunesweep.config import RunConfig
from tunesweep.point import run
from tunesweep.report.tracking import mirror_run, mirror_sweep
from tunesweep.report.tracking.session import library
from tunesweep.store import Store
from workplace import DIGITS

LOGISTIC = ("model=logistic", *DIGITS, "dataset.limit.train=200", "dataset.limit.test=60", "train.epochs=2")
OFFLINE = (*LOGISTIC, "runtime.wandb.mode=offline")


def in_sweep(config: RunConfig, name: str) -> RunConfig:
    config.runtime.point.sweep_id, config.runtime.point.name = "feed", name
    return config


def broken(*_: Any, **__: Any) -> Any:
    raise AssertionError("no number")


def test_two_points_in_one_process_are_two_runs(make_config, monkeypatch):
    config = in_sweep(make_config(*OFFLINE), "seed=0")
    good = run(config)
    monkeypatch.setattr("tunesweep.stages.integrity.check_labels", broken)
    bad = run(in_sweep(make_config(*OFFLINE, "seed=1"), "seed=1"))
    assert (good.status, bad.status) == ("succeeded", "failed")
    found = mirrored(config.runtime.store)
    assert set(found) == {good.run_id, bad.run_id}
    for record, name, code in ((good, "seed=0", 0), (bad, "seed=1", 1)):
        told = found[record.run_id]
        (started,) = told.of("run")
        assert started["run_group"] == "feed"
        assert started["display_name"] == name
        assert {"sweep:feed", "logistic", "full", "digits", record.status} <= set(started["tags"])
        assert started["job_type"] == "point"
        assert [line.get("exit_code", 0) for line in told.of("exit")] == [code]
    assert_complete(found[good.run_id], good)


def assert_complete(told: Mirrored, record: Any) -> None:
    assert told.config["train"]["lr"] == record.config["train"]["lr"]
    assert told.config["seeds"] == {"init": 0, "data": 0, "split": 0}
    curves = [item for item in told.history if "curve_loss" in item]
    assert [curve["curve_loss"] for curve in curves] == [epoch["loss"] for epoch in record.history]
    assert [(curve["epoch"], curve["_step"]) for curve in curves] == [(1, 1), (2, 2)]
    steps = {m["glob_name"]: m["step_metric"] for m in told.of("metric") if "glob_name" in m}
    assert steps == {"curve_*": "epoch"}
    accuracy = record.metrics["test"]["accuracy"]
    assert told.summary["test_accuracy"] == told.summary["score"] == accuracy
    assert told.summary["cost_minutes_per_epoch"] == record.cost["minutes_per_epoch"]
    assert told.summary["parameters_head"] == record.parameters["head"] == 650
    assert {f"score_{told.config['comparable']}"} <= told.keys
    matrix, classes = told.tables["confusion_matrix_table"], told.tables["classes"]
    assert matrix["columns"] == ["Actual", "Predicted", "nPredictions"]
    counts = {(actual, predicted): n for actual, predicted, n in matrix["data"]}
    expected = record.metrics["test"]["confusion"]
    assert all(counts[str(i), str(j)] == n for i, row in enumerate(expected) for j, n in enumerate(row))
    assert classes["columns"] == ["class", "precision", "recall", "F1", "examples"]
    one = record.metrics["test"]["per_class"]["3"]
    assert classes["data"][3] == ["3", one["precision"], one["recall"], one["f1-score"], one["support"]]


def test_a_run_that_is_open_is_not_taken_for_the_points(make_config, tmp_path):
    config = make_config(*OFFLINE)
    record = run(make_config(*LOGISTIC))
    with wandb.init(mode="offline", dir=str(tmp_path), id="somebody", settings=wandb.Settings(console="off")):
        assert mirror_run(record, config) is None
    assert set(mirrored(config.runtime.store)) == {record.run_id}


def plan(config: RunConfig, *ids: str) -> Any:
    store = Store(config.runtime.store)
    store.put_sweep("feed", {"sweep_id": "feed", "members": list(ids), "points": {}})
    return SimpleNamespace(points=[SimpleNamespace(config=config)], store=store, sweep_id="feed")


def test_a_sweep_has_a_run_with_its_comparison(make_config):
    configs = [
        in_sweep(make_config(*LOGISTIC, f"seed={seed}"), f"model=logistic seed={seed}") for seed in (0, 1)
    ]
    records = [run(config) for config in configs]
    config = make_config(*OFFLINE)
    assert mirror_sweep(plan(config, *(record.run_id for record in records), "0" * 16)) is None
    ((name, told),) = mirrored(config.runtime.store).items()
    (started,) = told.of("run")
    assert name == "sweep-feed"
    assert started["run_group"] == "feed"
    assert set(started["tags"]) == {"sweep:feed", "comparison"}
    block, runs = told.tables["block1_comparison"], told.tables["runs"]
    row, absent = block["data"]  # two seeds of one configuration, and a point without a record
    assert absent[block["columns"].index("status")] == "not run"
    both = [record.main_metric for record in records]
    assert row[block["columns"].index("accuracy")] == pytest.approx(sum(both) / 2)
    assert {"report", "block1_training_loss_table"} <= told.keys
    assert not any(key.endswith("_picture") for key in told.keys)  # which take long to draw
    scores = [line[runs["columns"].index("score")] for line in runs["data"]]
    assert scores[:2] == both
    assert [line[runs["columns"].index("status")] for line in runs["data"]][2:] == ["not run"]


def test_a_sweep_that_is_sent_at_once_has_its_images(make_config, monkeypatch):
    given: list[bool] = []
    monkeypatch.setattr("tunesweep.report.tracking.mirror.send_comparison", lambda *a: given.append(a[3]))
    for mode in ("online", "offline"):
        assert mirror_sweep(plan(make_config(*LOGISTIC, f"runtime.wandb.mode={mode}"))) is None
    assert given == [True, False]


def test_a_tracker_that_fails_costs_no_result(make_config, monkeypatch, caplog):
    def refuse(**_: Any) -> Any:
        raise OSError("no space left on device")

    monkeypatch.setattr("wandb.init", refuse)
    config = make_config(*OFFLINE)
    record = run(config)
    assert record.status == "succeeded"
    assert Store(config.runtime.store).get(record.run_id) == record
    assert "W&B (offline) could not be written: OSError: no space left on device" in caplog.text


def test_a_tracker_that_fails_midway_is_finished_all_the_same(make_config, monkeypatch):
    finished: list[int] = []

    class Session:
        def define_metric(self, *_: Any, **__: Any) -> None:
            pass

        def log(self, *_: Any, **__: Any) -> None:
            raise RuntimeError("connection lost")

        def finish(self, exit_code: int) -> None:
            finished.append(exit_code)

    record = run(make_config(*LOGISTIC))
    monkeypatch.setattr("wandb.init", lambda **_: Session())
    said = mirror_run(record, make_config(*OFFLINE))
    assert said == "W&B (offline) could not be written: RuntimeError: connection lost"
    assert finished == [0]


def test_wandb_reports_nothing_on_itself_unless_one_wants_it(monkeypatch):
    from wandb.env import error_reporting_enabled

    monkeypatch.setenv("WANDB_ERROR_REPORTING", "true")
    library()
    assert error_reporting_enabled()
    monkeypatch.delenv("WANDB_ERROR_REPORTING")
    library()
    assert not error_reporting_enabled()


def test_disabled_writes_nothing(make_config, monkeypatch):
    monkeypatch.setattr("wandb.init", broken)
    config = make_config(*LOGISTIC)
    record = run(config)
    assert record.status == "succeeded"
    assert mirror_sweep(plan(config, record.run_id)) is None
    assert not (Path(config.runtime.store) / "wandb").exists()
