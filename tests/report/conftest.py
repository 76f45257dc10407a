"""Records as a sweep leaves them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tunesweep.record import RunRecord
from tunesweep.store import Store


def config(method: str, r: int | None, **changes: Any) -> dict[str, Any]:
    nested: dict[str, Any] = {
        "model": {"name": "minilm", "dtype": "float32", "target_modules": {"query_value": ["q", "v"]}},
        "method": {"name": method, "peft": {"r": r} if r else None, "budget": {"lr": 1e-3, "source": method}},
        "dataset": {"name": "reviews", "train": "package:a/b", "limit": {"train": 2000}},
        "encoding": {"name": "text"},
        "readout": {"name": "head", "prompt": "{text}"},
        "train": {"lr": 1e-3 if r else 2e-5, "epochs": 2},
        "seed": 0,
        "seeds": {"init": 0, "data": 0, "split": 0},
    }
    if r:
        nested["lora"] = {"r": r, "alpha": 2 * r, "dropout": 0.0, "target_modules": ["q", "v"]}
    for key, value in changes.items():
        *groups, last = key.split("__")
        place = nested
        for part in groups:
            place = place[part]
        place[last] = value
    return nested


def make(run_id: str, method: str = "lora", r: int | None = 8, right: int = 783, **changes: Any) -> RunRecord:
    """Return a succeeded run; changes of its config as train__epochs=3."""
    adapter = 9216 * (r or 0)
    return RunRecord(
        run_id=run_id,
        status="succeeded",
        sweep_id="s1",
        name=f"{method} r={r}" if r else method,
        config=config(method, r, **changes),
        runtime={"executor": "in process", "device": "cpu", "lr_by_hand": False},
        metrics={
            "test": {
                "accuracy": right / 1000,
                "macro_f1": 0.7012345,
                "n": 1000,
                "confusion": [[1, 2], [3, 4]],
            },
            "protocol": {"metric": "accuracy", "split": "test", "chosen_on": "select"},
        },
        cost={
            "minutes_per_epoch": 0.2671234,
            "minutes": 0.61,
            "tokens_per_s": 5123.5,
            "memory_bytes": 412_345_678,
            "peak_memory_bytes": 1_770_000_000,
            "memory_how": "sampled RSS",
            "disk_bytes": 331_234,
        },
        parameters={"total": 22_787_330, "adapter": adapter, "head": 770, "trainable": adapter + 770},
        data={"fingerprint": "d1", "scored_ids": "i1", "labels": ["fresh", "rotten"]},
        encoding={"name": "text", "ids_fingerprint": run_id, "tokenizer_fingerprint": "k1"},
    )


def break_down(record: RunRecord, message: str = "the loss is nan") -> RunRecord:
    record.status, record.failure = "failed", {"class": "diverged", "message": message, "log": "..."}
    record.metrics, record.cost, record.data, record.parameters = {}, {}, {}, {}
    return record


def put_all(store: Store, records: list[RunRecord], sweep_id: str = "s1", **more: Any) -> Store:
    for item in records:
        store.put(item)
    points = {item.run_id: {"name": item.name, "config": item.config} for item in records}
    sweep = {"sweep_id": sweep_id, "started": "2026-01-01T00:00:00+00:00", "command": ["train.py"]}
    sweep |= {"members": [item.run_id for item in records], "points": points, "duplicates": 0}
    store.put_sweep(sweep_id, sweep | more)
    return store


def text_run(run_id: str, dataset: str, protocol: str, tokenizer: str = "k1", **changes: Any) -> RunRecord:
    """Return a run whose score is a perplexity, as of running text and of instructions."""
    found = make(run_id, dataset__name=dataset, **changes)
    found.data |= {"fingerprint": dataset, "labels": []}
    found.metrics = {
        "test": {"n": 230, "perplexity": 21.4567, "interval": [20.9, 22.0123], "word_perplexity": 1234.5},
        "protocol": {
            **{"metric": "perplexity", "split": "test", "chosen_on": "select"},
            **{"perplexity": protocol, "tokenizer": tokenizer},
        },
        "before": {"perplexity": 30.25},
        "learned": True,
    }
    return found


@pytest.fixture
def written() -> Callable[..., RunRecord]:
    return text_run


@pytest.fixture
def record() -> Callable[..., RunRecord]:
    return make


@pytest.fixture
def failed() -> Callable[..., RunRecord]:
    return break_down


@pytest.fixture
def fill() -> Callable[..., Store]:
    return put_all


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "multirun")
