"""W&B mirrors the store: offline, one run a point, and never the reason why a result is lost (R8)."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import wandb

from tunesweep.config import RunConfig
from tunesweep.report.tracking import mirror_run, mirror_sweep
from tunesweep.run import run
from tunesweep.store import Store
from workplace import DIGITS

pytestmark = pytest.mark.usefixtures("no_network")
LOGISTIC = ("model=logistic", *DIGITS, "dataset.limit.train=200", "dataset.limit.test=60", "train.epochs=2")
OFFLINE = (*LOGISTIC, "runtime.wandb.mode=offline")


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no socket of this process reach beyond this machine."""
    honest = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        local = self.family == socket.AF_UNIX or str(address[0]) in ("127.0.0.1", "::1", "localhost")
        assert local, f"a connection to {address}"
        honest(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


@dataclass
class Mirrored:
    """One offline run, read back by wandb's own reader."""

    folder: Path
    lines: list[dict[str, Any]]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [line[kind] for line in self.lines if line["type"] == kind]

    @property
    def summary(self) -> dict[str, Any]:
        return {key: value for line in self.of("summary") for key, value in line["update"].items()}

    @property
    def tables(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in self.folder.rglob("*.table.json")]


def mirrored(store: Path | str) -> dict[str, Mirrored]:
    """Return all offline runs of a store by id."""
    found = {}
    for folder in sorted(Path(store).glob("wandb/offline-run-*")):
        (file,) = folder.glob("*.wandb")
        command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(file)]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        lines = [json.loads(line) for line in text.splitlines()]
        mirror = Mirrored(folder, lines)
        found[mirror.of("run")[0]["run_id"]] = mirror
    return found


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
        assert set(started["tags"]) == {"sweep:feed", "logistic", "full", record.status}
        assert started["job_type"] == "point"
        assert [line.get("exit_code", 0) for line in told.of("exit")] == [code]
    assert_complete(found[good.run_id], good)


def assert_complete(told: Mirrored, record: Any) -> None:
    config = told.of("run")[0]["config"]["update"]
    assert config["train"]["lr"] == record.config["train"]["lr"]
    assert config["seeds"] == {"init": 0, "data": 0, "split": 0}
    curves = [line["item"] for line in told.of("history") if "curve/loss" in line["item"]]
    assert [curve["curve/loss"] for curve in curves] == [epoch["loss"] for epoch in record.history]
    assert [curve["_step"] for curve in curves] == [1, 2]
    assert told.summary["test.accuracy"] == record.metrics["test"]["accuracy"]
    assert told.summary["cost.minutes_per_epoch"] == record.cost["minutes_per_epoch"]
    assert told.summary["parameters.head"] == record.parameters["head"] == 650
    (table,) = told.tables
    assert table["columns"] == ["Actual", "Predicted", "nPredictions"]
    counts = {(actual, predicted): n for actual, predicted, n in table["data"]}
    expected = record.metrics["test"]["confusion"]
    assert all(counts[str(i), str(j)] == n for i, row in enumerate(expected) for j, n in enumerate(row))


def test_a_run_that_is_open_is_not_taken_for_the_points(make_config, tmp_path):
    config = make_config(*OFFLINE)
    record = run(make_config(*LOGISTIC))
    with wandb.init(mode="offline", dir=str(tmp_path), id="somebody", settings=wandb.Settings(console="off")):
        assert mirror_run(record, config) is None
    assert set(mirrored(config.runtime.store)) == {record.run_id}


def plan(config: RunConfig, *ids: str) -> Any:
    points = [SimpleNamespace(config=config)]
    return SimpleNamespace(
        points=points, store=Store(config.runtime.store), members=dict.fromkeys(ids), sweep_id="feed"
    )


def test_a_sweep_has_a_run_with_its_comparison(make_config):
    records = [run(make_config(*LOGISTIC, f"seed={seed}")) for seed in (0, 1)]
    config = make_config(*OFFLINE)
    assert mirror_sweep(plan(config, *(record.run_id for record in records), "0" * 16)) is None
    ((name, told),) = mirrored(config.runtime.store).items()
    (started,) = told.of("run")
    assert name == "sweep-feed"
    assert started["run_group"] == "feed"
    assert set(started["tags"]) == {"sweep:feed", "comparison"}
    (table,) = told.tables
    assert len(table["data"]) == 2
    cells = {str(cell) for row in table["data"] for cell in row}
    assert {str(record.main_metric) for record in records} <= cells


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
        def log(self, *_: Any, **__: Any) -> None:
            raise RuntimeError("connection lost")

        def finish(self, exit_code: int) -> None:
            finished.append(exit_code)

    record = run(make_config(*LOGISTIC))
    monkeypatch.setattr("wandb.init", lambda **_: Session())
    said = mirror_run(record, make_config(*OFFLINE))
    assert said == "W&B (offline) could not be written: RuntimeError: connection lost"
    assert finished == [0]


def test_disabled_writes_nothing(make_config, monkeypatch):
    monkeypatch.setattr("wandb.init", broken)
    config = make_config(*LOGISTIC)
    record = run(config)
    assert record.status == "succeeded"
    assert mirror_sweep(plan(config, record.run_id)) is None
    assert not (Path(config.runtime.store) / "wandb").exists()
