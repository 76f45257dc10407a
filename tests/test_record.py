"""The record: one JSON file, readable tomorrow."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from tunesweep.errors import StorageError
from tunesweep.record import SCHEMA_VERSION, RunRecord, draft

PROTOCOL = {"metric": "accuracy", "split": "test"}


def record(**values) -> RunRecord:
    return RunRecord("a1", "succeeded", "s1", "lora", {"seed": 0}, **values)


def test_json_is_readable_stable_and_complete():
    text = record(metrics={"test": {"b": 1, "a": 0.1 + 0.2}}).to_json()
    data = json.loads(text)
    assert list(data) == sorted(data)
    assert list(data["metrics"]["test"]) == ["a", "b"]
    assert data["metrics"]["test"]["a"] == 0.1 + 0.2  # not rounded
    assert data["schema_version"] == SCHEMA_VERSION == 3
    assert text.count("\n") > len(data)
    assert RunRecord.from_json(text).to_json() == text


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_refused(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        record(cost={"minutes": value}).to_json()


def test_keys_of_a_later_version_are_passed_over():
    data = json.loads(record().to_json()) | {"carbon": 3}
    assert RunRecord.from_json(json.dumps(data)) == record()


@pytest.mark.parametrize("version", [None, 0, "1", True])
def test_a_record_of_no_version_is_refused(version):
    data = json.loads(record().to_json()) | {"schema_version": version}
    with pytest.raises(StorageError, match=f"schema_version={version} of a record must be 1 to 3"):
        RunRecord.from_json(json.dumps(data))


def test_the_main_metric_is_what_the_protocol_names():
    scores = {"select": {"accuracy": 0.9}, "test": {"accuracy": 0.5, "macro_f1": 0.25}}
    assert record(metrics=scores | {"protocol": PROTOCOL}).main_metric == 0.5
    assert record(metrics=scores | {"protocol": PROTOCOL | {"metric": "macro_f1"}}).main_metric == 0.25
    assert record(metrics=scores | {"protocol": PROTOCOL | {"split": "select"}}).main_metric == 0.9
    assert record().main_metric is None


def test_a_draft_is_a_failure_until_something_else_is_known(make_config):
    config = make_config("method=lora", "lora.r=4", "seed=7")
    config.runtime.point.run_id, config.runtime.point.name = "a1", "method=lora"
    found = draft(config)
    assert found.failed
    assert (found.run_id, found.name, found.metrics, found.failure) == ("a1", "method=lora", {}, None)
    assert (found.config["lora"]["r"], found.config["lora"]["alpha"]) == (4, 8)
    assert (found.config["seed"], found.config["seeds"]["init"], found.config["train"]["lr"]) == (7, 7, 1e-3)
    assert abs((datetime.now(UTC) - datetime.fromisoformat(found.started)).total_seconds()) < 60
    assert draft(config).to_json()


def test_a_draft_leaves_out_what_the_method_ignores_and_where_it_ran(make_config):
    found = draft(make_config("method=head_only", "runtime.micro_batch=4"))
    assert not {"lora", "runtime"} & set(found.config)
    assert found.runtime["micro_batch"] == 4
    assert not {"store", "cache", "wandb"} & set(found.runtime)
    assert found.runtime["lr_by_hand"] is False
    assert draft(make_config("train.lr=3e-4")).runtime["lr_by_hand"] is True


def test_a_draft_of_what_is_not_trained_tells_nothing_of_training(make_config):
    found = draft(make_config("method=zero_shot", "readout=label_words", "train.precision=fp32"))
    assert found.config["train"] == {"precision": "fp32"}
    assert "lora" not in found.config
