"""A point asks the store again once it holds its claim: another process may have finished it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import samples
from tunesweep import identity, point
from tunesweep.config import RunConfig
from tunesweep.errors import BadData
from tunesweep.record import RunRecord, draft
from tunesweep.store import Store
from workplace import tiny

Make = Callable[..., RunConfig]
WORDS = ("dataset=digits", "model=logistic", "method=full")


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the points that are attempted; each succeeds at once."""
    found: list[str] = []

    def attempt(config: RunConfig, store: Store, work: object) -> RunRecord:
        found.append(config.runtime.point.run_id)
        record = finished(config)
        store.put(record)
        return record

    monkeypatch.setattr(point, "attempt", attempt)
    return found


def finished(config: RunConfig, status: str = "succeeded") -> RunRecord:
    record = draft(config)
    record.status = status
    if status == "failed":
        record.failure = {"class": "diverged", "message": "NaN", "log": ""}
    return record


@pytest.mark.parametrize(
    ("status", "words", "runs"),
    [
        ("succeeded", [], False),
        ("stopped", ["runtime.fuse=auto", "runtime.early_exit=2"], False),
        ("stopped", [], True),
        ("failed", [], True),
        ("succeeded", ["runtime.force=true"], True),
    ],
)
def test_what_the_store_holds_is_not_done_again(
    make_config: Make, attempts: list[str], status: str, words: list[str], runs: bool
) -> None:
    config = make_config(*WORDS, *words)
    identity.identify(config)
    Store(config.runtime.store).put(finished(config, status))
    record = point.run(config)
    assert attempts == ([config.runtime.point.run_id] if runs else [])
    assert record.status == ("succeeded" if runs else status)


def test_a_record_that_appears_while_waiting_for_the_claim_is_taken(
    make_config: Make, attempts: list[str]
) -> None:
    config = make_config(*WORDS)
    identity.identify(config)
    store, results = Store(config.runtime.store), list[RunRecord]()
    waiting = threading.Thread(target=lambda: results.append(point.run(config)))
    with store.claim(config.runtime.point.run_id):  # as another process would hold it
        waiting.start()
        waiting.join(timeout=0.2)
        assert waiting.is_alive()
        store.put(finished(config))
    waiting.join(timeout=10)
    assert attempts == []
    assert [record.run_id for record in results] == [config.runtime.point.run_id]


def test_data_that_change_after_planning_are_refused(make_config: Make, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("text,label\ngood,a\nbad,b\n")
    config = make_config("dataset=files", f"dataset.train={path}")
    identity.identify(config)
    identity.check_unchanged(config)
    path.write_text("text,label\nbad,a\ngood,b\n")
    with pytest.raises(BadData, match="a file of dataset=files has changed since the sweep was planned"):
        identity.check_unchanged(config)


@pytest.mark.parametrize("model", ["random_llama", "random_t5"])
def test_an_instruction_is_learned_and_scored(make_config: Make, tmp_path: Path, model: str) -> None:
    words = (*tiny(model), *samples.sums(tmp_path), "train.lr=0.02", "train.epochs=4", "train.batch_size=8")
    record = point.run(make_config(*words, "method=full"))
    assert record.status == "succeeded", record.failure
    test, before = record.metrics["test"], record.metrics["before"]
    assert test["perplexity"] < before["perplexity"] / 10
    assert record.metrics["learned"] is True
    assert record.main_metric == test["perplexity"]
    assert record.metrics["select"]["loss"] == min(epoch["loss"] for epoch in record.history)
    rows = pd.read_parquet(tmp_path / "store" / record.artefacts["predictions"])
    assert test["perplexity"] == pytest.approx(np.exp(rows["nll"].sum() / rows["tokens"].sum()))
    assert test["exact_match"] == pytest.approx((rows["text"] == rows["reference"]).mean())
    # A word is a token here, and END another.
    assert list(rows["tokens"]) == [len(text.split()) + 1 for text in rows["reference"]]


def test_a_running_text_is_learned_and_scored(make_config: Make, tmp_path: Path) -> None:
    words = (*tiny("random_llama"), *samples.counting(tmp_path), "train.lr=0.02", "train.epochs=4")
    record = point.run(make_config(*words, "method=lora", "lora.r=2", "train.batch_size=4"))
    assert record.status == "succeeded", record.failure
    test = record.metrics["test"]
    assert test["perplexity"] < record.metrics["before"]["perplexity"]
    rows = pd.read_parquet(tmp_path / "store" / record.artefacts["predictions"])
    assert list(rows["id"]) == ["window-0", "window-1", "window-2"]
    assert list(rows["tokens"]) == [7, 7, 4]
    assert test["perplexity"] == pytest.approx(np.exp(rows["nll"].sum() / 18))
    protocol = record.metrics["protocol"]
    assert protocol["perplexity"].startswith("token, concatenated, context 8, stride 8")
    assert (protocol["split"], protocol["chosen_on"]) == ("test", "select")
    assert record.integrity["merge"]["metric"] == "perplexity"
