"""The stages in their order, and what a point leaves behind."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tunesweep import point as running
from tunesweep import stages
from tunesweep.data.module import SealedAnswers
from tunesweep.device import choose_device
from tunesweep.errors import BadConfig
from tunesweep.point import run
from tunesweep.record import RunRecord
from tunesweep.store import Store
from workplace import DIGITS, FEW

LOGISTIC = ("model=logistic", *DIGITS, "dataset.limit.train=200", "dataset.limit.test=60", "train.epochs=1")
ORDER = (
    *("prepare", "load_data", "load_network", "train", "evaluate"),
    *("check_network", "save", "check_artefact", "keep"),
)


def test_labels_of_the_test_split_are_read_once_and_after_all_training_and_scoring(make_config, monkeypatch):
    events: list[str] = []

    def noted(name: str, work: Any) -> Any:
        def call(*arguments: Any) -> Any:
            result = work(*arguments)
            events.append(name)
            return result

        return call

    for name in ORDER:
        monkeypatch.setattr(stages, name, noted(name, getattr(stages, name)))
    monkeypatch.setattr(stages, "score", noted("score", stages.score))  # a stage hands it to the task
    monkeypatch.setattr(SealedAnswers, "open", noted("labels", SealedAnswers.open))
    assert run(make_config(*LOGISTIC)).status == "succeeded"
    assert events.count("labels") == 1
    before = events[: events.index("labels")]
    assert before == ["prepare", "load_data", "load_network", "train", "score"]
    assert [event for event in events if event in ORDER] == list(ORDER)


def test_choices_are_made_on_select_and_reported_on_test(make_config):
    record = run(make_config(*LOGISTIC, "train.epochs=3"))
    assert record.metrics["protocol"] == {"metric": "accuracy", "split": "test", "chosen_on": "select"}
    best = max(record.history, key=lambda epoch: (epoch["accuracy"], -epoch["loss"]))
    assert record.metrics["select"] == best
    assert [epoch["epoch"] for epoch in record.history] == [1, 2, 3]
    assert record.metrics["test"]["n"] == 60


def test_costs_are_measured_and_plausible(make_config):
    record = run(make_config("method=lora", *FEW, "train.epochs=2", "train.precision=fp32"))
    cost = record.cost
    assert cost["epochs"] == 2
    assert 0 < 2 * cost["minutes_per_epoch"] < cost["minutes"] < 2
    tokens = cost["tokens_per_s"] * cost["minutes_per_epoch"] * 60
    assert 32 * 5 < tokens <= 32 * 48  # 32 texts of at most 48 tokens an epoch
    assert 0 < cost["memory_bytes"] < cost["peak_memory_bytes"]
    assert cost["disk_bytes"] > 4 * record.parameters["trainable"]
    assert set(record.integrity) == {
        *("frozen_tensors_unchanged", "adapter_change", "head_change", "four_bit_layers", "merge"),
        *("batch_size_change", "batch_size_flipped", "reload_change", "files"),
    }


def test_predictions_are_those_the_metrics_were_made_of(make_config):
    config = make_config(*LOGISTIC)
    record = run(config)
    rows = pd.read_parquet(Path(config.runtime.store) / record.artefacts["predictions"])
    scores = rows[[f"p:{digit}" for digit in range(10)]].to_numpy()
    assert (rows["label"] == rows["prediction"]).mean() == record.metrics["test"]["accuracy"]
    np.testing.assert_allclose(scores.sum(1), 1)
    assert [str(i) for i in scores.argmax(1)] == list(rows["prediction"])
    own = scores[np.arange(60), rows["label"].astype(int)]
    np.testing.assert_allclose(rows["loss"], -np.log(own))
    assert rows["loss"].mean() == pytest.approx(record.metrics["test"]["log_loss"])
    assert rows["id"].is_unique


def kept(make_config: Any, *words: str) -> tuple[RunRecord, Path]:
    config = make_config(*LOGISTIC, *words)
    return run(config), Path(config.runtime.store)


@pytest.mark.parametrize(
    ("words", "stays"),
    [
        ((), False),  # all of a model's weights
        (("runtime.keep=all",), True),
        (("runtime.keep=metrics",), False),
        (("runtime.keep=adapter",), False),
    ],
)
def test_what_stays_of_full_fine_tuning(make_config, words, stays):
    record, store = kept(make_config, *words)
    assert ("adapter" in record.artefacts) == stays
    assert (store / "adapters" / record.run_id / "trained.safetensors").is_file() == stays
    assert record.cost["disk_bytes"] > 4 * 650


@pytest.mark.parametrize(("keep", "stays"), [("all", True), ("adapter", True), ("metrics", False)])
def test_what_stays_of_an_adapter(make_config, keep, stays):
    config = make_config("method=head_only", f"runtime.keep={keep}")
    assert stages.keeps_weights(config) == stays


def test_every_file_kept_has_its_digest_in_the_record(make_config):
    record, store = kept(make_config, "runtime.keep=all")
    files = record.integrity["files"]
    paths = [*(store / "predictions").rglob("*"), *(store / "adapters").rglob("*")]
    found = {path.relative_to(store).as_posix() for path in paths if path.is_file()}
    assert set(files) == found
    for name, told in files.items():
        assert told == hashlib.sha256((store / name).read_bytes()).hexdigest()


def test_forced_again_a_run_replaces_what_it_left(make_config):
    record, store = kept(make_config, "runtime.keep=all")
    stray = store / "adapters" / record.run_id / "stray"
    stray.write_text("of another time")
    again, _ = kept(make_config, "runtime.keep=all", "runtime.force=true")
    assert again.started >= record.started
    assert again.metrics == record.metrics
    assert not stray.exists()


def test_nothing_is_left_at_work_after_success_or_failure(make_config, monkeypatch):
    _, store = kept(make_config)
    assert list((store / "work").iterdir()) == []

    def fail(work: stages.Workplace) -> None:
        assert list(work.artefact.iterdir())
        raise RuntimeError("of the test")

    monkeypatch.setattr(stages, "check_artefact", fail)
    record, _ = kept(make_config, "seed=1")
    assert record.failure is not None
    assert record.failure["message"] == "RuntimeError: of the test"
    assert list((store / "work").iterdir()) == []
    assert not (store / "adapters" / record.run_id).exists()


def test_what_an_attempt_that_was_killed_left_is_cleared(make_config):
    config = make_config(*LOGISTIC)
    running.identity.identify(config)
    folder = Store(config.runtime.store).path("work", config.runtime.point.run_id)
    folder.mkdir(parents=True)
    (folder / "artefact").write_text("half of something")
    assert run(config).status == "succeeded"


def test_a_gpu_that_is_not_there_is_refused(make_config, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BadConfig, match=r"runtime\.device=cuda, and torch sees no GPU here: use"):
        choose_device(make_config("runtime.device=cuda").runtime)
    assert choose_device(make_config("runtime.device=auto").runtime) == torch.device("cpu")


def test_the_record_says_where_its_numbers_come_from(make_config):
    record, _ = kept(make_config)
    said = record.provenance
    assert said["versions"]["torch"] == torch.__version__
    assert said["threads"] == 1
    assert said["device"]
    assert set(said["git"]) in ({"commit", "dirty"}, set())
