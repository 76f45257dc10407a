"""A finished store to W&B: as files, and to a stand-in of the service."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from made_store import fill
from offline_runs import mirrored
from standin import service
from typer.testing import CliRunner

from tunesweep.cli import app
from tunesweep.commands import dashboards as command
from tunesweep.report.tracking import upload as uploading
from tunesweep.store import Store

SECRETS = {"WANDB_API_KEY": "5ecret" * 7, "HF_TOKEN": "hf_5ecretsecret", "AWS_SECRET_ACCESS_KEY": "5ecretaws"}


@pytest.fixture
def small(tmp_path: Path) -> Store:
    """Six runs, of which the last has left no record."""
    return fill(Store(tmp_path / "store"), 6, examples=20)


def call(store: Store, *words: str) -> Any:
    return CliRunner().invoke(app, ["wandb", *words, "--store", str(store.root)])


def everything(store: Store) -> dict[str, tuple[bytes, int]]:
    files = [path for path in store.root.rglob("*") if path.is_file() and "wandb" not in path.parts]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_offline_writes_every_run_and_the_comparison(small):
    before = everything(small)
    found = call(small, "--offline", "--project", "ours", "--entity", "us")
    assert found.exit_code == 0, found.output
    assert "6 W&B runs written; 1 points left no record" in found.output
    assert f"wandb sync {small.root}/wandb/offline-run-*" in found.output
    assert everything(small) == before  # records, predictions and sweeps are only read
    told = mirrored(small.root)
    assert set(told) == {*(record.run_id for record in small.each()), "sweep-made"}
    for run in told.values():
        started = run.started
        assert (started["project"], started["entity"], started["run_group"]) == ("ours", "us", "made")
    one = told["0000000000000003"]
    record = small.get("0000000000000003")
    assert record is not None
    assert {"sweep:made", "minilm", "lora", "reviews", "succeeded"} < set(one.started["tags"])
    assert one.config["lora"] == record.config["lora"]
    assert one.config["provenance"] == record.provenance
    assert [item["curve_loss"] for item in one.history] == [epoch["loss"] for epoch in record.history]
    assert one.summary["score"] == record.main_metric
    assert one.summary["cost_disk_bytes"] == record.cost["disk_bytes"]


def test_a_second_time_gives_the_same_runs(small):
    assert call(small, "--offline").exit_code == 0
    first = mirrored(small.root)
    assert call(small, "--offline").exit_code == 0
    second = mirrored(small.root)
    assert second.keys() == first.keys()
    for name, run in second.items():
        assert run.folder != first[name].folder
        assert (run.config, run.keys, run.tables) == (
            first[name].config,
            first[name].keys,
            first[name].tables,
        )


def test_a_run_of_two_sweeps_says_both(small):
    data = small.get_sweep("made")
    assert data is not None
    small.put_sweep(
        "later", data | {"sweep_id": "later", "members": data["members"][:1], "started": "2026-02"}
    )
    assert call(small, "--offline").exit_code == 0  # the last sweep: one run
    told = mirrored(small.root)
    assert set(told) == {"0000000000000000", "sweep-later"}
    assert {"sweep:made", "sweep:later"} < set(told["0000000000000000"].started["tags"])
    assert told["0000000000000000"].started["run_group"] == "made"  # the sweep that carried it out


def test_all_is_the_whole_store(small):
    found = call(small, "--all", "--offline")
    assert found.exit_code == 0, found.output
    assert set(mirrored(small.root)) == {*(record.run_id for record in small.each()), "sweep-all"}


def test_a_failed_run_says_why(tmp_path, failed):
    store = fill(Store(tmp_path / "store"), 2, examples=10)
    record = store.get("0000000000000000")
    assert record is not None
    store.put(failed(record, "the loss is <nan>"))
    assert call(store, "--offline").exit_code == 0  # it was sent: that the run failed is what it says
    run = mirrored(store.root)[record.run_id]
    assert run.summary["failure_class"] == "diverged"
    assert run.summary["failure_message"] == "the loss is <nan>"
    assert "failed" in run.started["tags"]
    assert [line.get("exit_code", 0) for line in run.of("exit")] == [1]
    assert "score" not in run.keys


def test_no_secret_and_nothing_of_the_sender_is_in_any_file(small, monkeypatch):
    for name, secret in SECRETS.items():
        monkeypatch.setenv(name, secret)
    monkeypatch.setattr(sys, "argv", ["tunesweep", "--token", "5ecretargument"])
    assert call(small, "--offline", "--workspace", "--report").exit_code == 0
    files = [path for path in small.root.rglob("*") if path.is_file()]
    assert len(files) > 30
    assert [path for path in files if b"5ecret" in path.read_bytes()] == []
    described = {"wandb-metadata.json", "requirements.txt", "diff.patch", "config.yaml"}
    assert {path.name for path in files} & described == set()
    assert [run.started for run in mirrored(small.root).values() if "host" in run.started] == []


def test_tables_wait_in_the_store_not_in_the_home_folder(small, monkeypatch, tmp_path):
    monkeypatch.delenv("WANDB_DATA_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert call(small, "--offline").exit_code == 0
    assert any((small.root / "wandb" / "data").rglob("tmp*"))
    assert not (tmp_path / "home").exists()
    assert "WANDB_DATA_DIR" not in os.environ


def test_each_failure_is_a_line_and_the_rest_goes_on(small, monkeypatch):
    honest = uploading.send_run

    def fail_once(record: Any, *rest: Any) -> str | None:
        return "W&B: connection lost" if record.run_id.endswith("2") else honest(record, *rest)

    monkeypatch.setattr(uploading, "send_run", fail_once)
    found = call(small, "--offline")
    assert found.exit_code == 1
    lines = [line for line in found.output.splitlines() if line.startswith("tunesweep: ")]
    assert len(lines) == 1
    assert lines[0].endswith("seed=2 (0000000000000002): W&B: connection lost")
    assert "5 W&B runs written" in found.output


def test_three_failures_in_a_row_are_enough(small, monkeypatch):
    tried = []
    monkeypatch.setattr(uploading, "send_run", lambda record, *_: tried.append(record) or "W&B: gone")
    found = call(small, "--offline", "--workspace")
    assert found.exit_code == 1
    assert len(tried) == 3
    assert "stopped after 3 failures in a row: 2 runs are not sent" in found.output
    assert not (small.root / "reports").exists()


def test_a_record_that_cannot_be_read_is_a_failure(small):
    small.path("records", "0000000000000001").write_text("{")
    found = call(small, "--offline")
    assert found.exit_code == 1
    assert "0000000000000001.json is not a readable record" in found.output
    assert "5 W&B runs written; 2 points left no record" in found.output


def test_a_record_that_no_row_can_be_made_of_is_a_failure(small):
    record = small.get("0000000000000001")
    record.metrics["test"]["accuracy"] = 1e6
    small.put(record)
    found = call(small, "--offline")
    assert found.exit_code == 1
    assert "(0000000000000001): its record cannot be shown: k=" in found.output
    assert "5 W&B runs written" in found.output


def test_a_name_is_one_line_and_a_matrix_of_other_classes_is_left_out(small):
    record = small.get("0000000000000001")
    record.name, record.data["labels"] = "two\nlines", ["only one"]
    small.put(record)
    found = call(small, "--offline")
    assert found.exit_code == 0, found.output
    assert "two lines: written" in found.output


def test_a_store_without_records_is_refused_and_not_made(tmp_path):
    found = call(Store(tmp_path / "nothing"), "--all", "--offline")
    assert found.exit_code == 1
    assert "nothing holds no run yet: run a sweep, or name another store with --store PATH" in found.output
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing", "--offline"], "sweep nothing is not in"),
        (["made", "--all", "--offline"], "--all and sweep made exclude each other: give one of them"),
        ([], "WANDB_MODE=offline forbids to send: unset it, or write files with --offline"),
    ],
)
def test_what_cannot_be_is_one_sentence(small, words, said):
    found = call(small, *words)
    assert found.exit_code == 1
    assert said in found.output
    assert not (small.root / "wandb").exists()


def test_a_dashboard_that_cannot_be_saved_does_not_hide_other_failures(small, monkeypatch):
    monkeypatch.setattr(uploading, "send_comparison", lambda *_: "W&B: too large")
    monkeypatch.setattr("tunesweep.report.tracking.dashboards.report", lambda *_: 1 / 0)
    found = call(small, "--offline", "--report")
    assert found.exit_code == 1
    assert "tunesweep: comparison: W&B: too large" in found.output
    assert "tunesweep: the W&B report cannot be built: division by zero" in found.output
    assert command.upload.__doc__ is not None


def online(store: Store, home: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, as W&B's client remembers whom it has spoken to."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    line = [sys.executable, "-c", "from tunesweep.cli import app; app()", "wandb"]
    line += [*words, "--store", str(store.root)]
    return subprocess.run(
        line, capture_output=True, text=True, check=False, env=kept | {"HOME": str(home)} | variables
    )


def test_without_a_key_one_sentence_says_what_to_do(small, tmp_path):
    found = online(small, tmp_path)
    assert found.returncode == 1
    assert found.stderr == (
        "tunesweep: there is no W&B key: run `wandb login` once, or write files with --offline\n"
    )
    assert not (small.root / "wandb").exists()


@pytest.mark.slow  # waits for the real client of the service
def test_a_service_gets_every_run_once_and_dashboards_are_updated(tmp_path):
    store = fill(Store(tmp_path / "store"), 3, examples=20)
    with service() as there:
        variables = {"WANDB_BASE_URL": there.address, "WANDB_API_KEY": SECRETS["WANDB_API_KEY"]}
        for _ in range(2):
            found = online(store, tmp_path, "--workspace", "--report", **variables)
            assert found.returncode == 0, found.stdout + found.stderr
            assert "3 W&B runs sent; 1 points left no record" in found.stdout
            assert f"workspace: {there.address}/me/tunesweep?nw=" in found.stdout
            assert f"report: {there.address}/me/tunesweep/reports/" in found.stdout
    ids = [*(record.run_id for record in store.each()), "sweep-made"]
    assert there.runs() == ids * 2
    assert not any("Resume" in name for name, _ in there.asked)  # a run is written anew, from its first line
    for record in store.each():
        begun = there.begun(record.run_id)
        assert (begun["groupName"], begun["jobType"], begun["host"]) == ("made", "point", None)
        assert {"sweep:made", "succeeded"} < set(begun["tags"])
        assert len(there.lines[record.run_id]) == len(record.history)  # not twice
    assert {"media/html", "media/images", "media/table"} <= {
        str(Path(name).parent) for name in there.files["sweep-made"]
    }
    assert [view["type"] for view in there.views.values()] == ["project-view", "runs"]  # one of each
    assert all(SECRETS["WANDB_API_KEY"] not in str(asked) for asked in there.asked)
