"""Hydra's launchers carry points to other processes and machines, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from launchers import Outcome, carry

from conftest import MAIN_SWEEP

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
SMALL = (
    *("model=random_bert", "train.epochs=1", "train.precision=fp32"),
    *("dataset.limit.train=32", "dataset.limit.select=16", "dataset.limit.test=16"),
)
PICTURES = (
    *("model=logistic", "method=full", "dataset=digits", "train.epochs=1"),
    *("dataset.limit.train=64", "dataset.limit.select=16", "dataset.limit.test=16"),
)
SAME = ("run_id", "status", "sweep_id", "name", "config", "metrics", "parameters", "data", "encoding")
JOB_BYTES = 300_000


def name(launcher: list[str]) -> str:
    return launcher[0].removeprefix("hydra/launcher=")


def test_a_sweep_leaves_the_records_that_it_leaves_alone(
    launcher: list[str], alone: Outcome, tmp_path: Path, cache: Path
) -> None:
    assert alone.status == 0, alone.output
    found = carry(tmp_path / "here", cache, launcher, *MAIN_SWEEP)
    assert found.status == 0, found.output
    expected, records = alone.records(), found.records()
    assert len(expected) == 6
    assert sorted(records) == sorted(expected)
    for run_id, record in records.items():
        for field in SAME:
            assert getattr(record, field) == getattr(expected[run_id], field), field
        assert record.history == expected[run_id].history
        assert record.runtime["executor"] == record.provenance["executor"] == name(launcher)
        assert all((found.store.root / path).exists() for path in record.artefacts.values())
    assert not list(found.store.root.glob("work/*"))

    jobs = list((tmp_path / "here").rglob("*_submitted.pkl"))  # what submitit wrote down to be carried out
    assert len(jobs) == (6 if name(launcher) == "submitit_local" else 0)
    for job in jobs:
        assert job.stat().st_size < JOB_BYTES
        assert b"torch" not in job.read_bytes()


def test_points_that_differ_in_what_their_method_ignores_are_one_run(
    launcher: list[str], tmp_path: Path, cache: Path
) -> None:
    found = carry(tmp_path / "here", cache, launcher, *SMALL, "method=full,lora", "lora.r=4,8,16")
    assert found.status == 0, found.output
    assert "6 points, 4 runs, 2 duplicates" in found.output
    assert sorted(record.config["method"]["name"] for record in found.store.records()) == [
        "full",
        *["lora"] * 3,
    ]


def test_a_point_that_raises_is_a_row_and_the_others_go_on(
    launcher: list[str], tmp_path: Path, cache: Path
) -> None:
    found = carry(tmp_path / "here", cache, launcher, *PICTURES, "train.lr=0.01,1e38")
    assert found.status == 1, found.output
    assert "1 of 2 runs failed" in found.output
    records = {record.config["train"]["lr"]: record for record in found.store.records()}
    assert records[0.01].status == "succeeded"
    failure = records[1e38].failure or {}
    assert failure["class"] == "bug"
    assert failure["message"] == "RuntimeError: value cannot be converted to type float without overflow"
    assert f"bug: {failure['message']}" in found.output
