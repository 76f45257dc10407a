"""A point asks the store again once it holds its claim: another process may have finished it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tunesweep import identity, run
from tunesweep.config import RunConfig
from tunesweep.errors import BadData
from tunesweep.record import RunRecord, draft
from tunesweep.store import Store

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

    monkeypatch.setattr(run, "attempt", attempt)
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
        ("stopped", [], False),
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
    record = run.run(config)
    assert attempts == ([config.runtime.point.run_id] if runs else [])
    assert record.status == ("succeeded" if runs else status)


def test_a_record_that_appears_while_waiting_for_the_claim_is_taken(
    make_config: Make, attempts: list[str]
) -> None:
    config = make_config(*WORDS)
    identity.identify(config)
    store, results = Store(config.runtime.store), list[RunRecord]()
    waiting = threading.Thread(target=lambda: results.append(run.run(config)))
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
