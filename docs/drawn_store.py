"""A store whose runs are drawn, not trained: three methods, a rate tuned on equal budgets, three seeds."""

from __future__ import annotations

from dataclasses import dataclass
from math import log10

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from make_statistics import EXAMPLES, MEAN, examples

from tunesweep.record import RunRecord
from tunesweep.store import Store

SWEEP, SEEDS, SPREAD, ON_SELECT = "drawn", 3, 0.003, 500
RATES = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)


@dataclass(frozen=True)
class Method:
    """How a drawn method answers: how far its best rate is behind, and how soon others are worse."""

    behind: float
    rate: float
    narrow: float  # lost at ten times the best rate
    minutes: float
    trainable: int

    def mean(self, rate: float) -> float:
        """Return how far behind it is at a rate."""
        return -min(self.behind + self.narrow * log10(rate / self.rate) ** 2, 0.35)


METHODS = {
    "bitfit": Method(0.030, 1e-3, 0.02, 0.9, 26_000),
    "prefix_tuning": Method(0.002, 1e-2, 0.30, 1.1, 93_000),
    "lora": Method(0.0, 1e-3, 0.02, 1.4, 74_000),
}


def fill(store: Store) -> Store:
    """Draw all runs, and the file of the sweep that they are."""
    rng = np.random.default_rng(0)
    easy = examples(rng)
    records = [
        _run(store, rng, easy, (name, rate, seed))
        for name in METHODS
        for rate in RATES
        for seed in range(SEEDS)
    ]
    members = [record.run_id for record in records]
    points = {record.run_id: {"name": record.name, "config": record.config} for record in records}
    sweep = {"sweep_id": SWEEP, "started": "2026-01-01T00:00:00+00:00", "members": members, "points": points}
    store.put_sweep(SWEEP, sweep | {"report": {"tuning": ["train.lr"]}})
    return store


def _run(store: Store, rng: np.random.Generator, easy: np.ndarray, what: tuple[str, float, int]) -> RunRecord:
    name, rate, seed = what
    method, run_id = METHODS[name], f"{name}-{RATES.index(rate)}-{seed}"
    mean = method.mean(rate) + rng.normal(0, SPREAD)
    right = rng.random(EXAMPLES) < easy + mean
    record = RunRecord(run_id, "succeeded", SWEEP, f"method={name} train.lr={rate:g} seed={seed}", {})
    record.config = {
        **{"model": {"name": "minilm"}, "method": {"name": name}, "dataset": {"name": "drawn"}},
        **{"train": {"lr": rate}, "seed": seed},
    }
    record.metrics = {
        "test": {"accuracy": float(right.mean()), "n": EXAMPLES},
        "select": {"accuracy": rng.binomial(ON_SELECT, MEAN + mean) / ON_SELECT, "loss": 0.5},
        "protocol": {"metric": "accuracy", "split": "test", "chosen_on": "select"},
    }
    record.data = {"fingerprint": "drawn", "scored_ids": "drawn", "labels": ["no", "yes"]}
    record.parameters = {"trainable": method.trainable, "total": 22_700_000}
    record.cost = {"minutes": method.minutes, "memory_bytes": 400_000_000, "disk_bytes": 4 * method.trainable}
    record.artefacts = {"predictions": f"predictions/{run_id}.parquet"}
    _keep(store, record, right)
    store.put(record)
    return record


def _keep(store: Store, record: RunRecord, right: np.ndarray) -> None:
    path = store.root / record.artefacts["predictions"]
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {"id": [f"test-{i:04}" for i in range(EXAMPLES)], "label": ["yes"] * EXAMPLES}
    pq.write_table(pa.table(columns | {"prediction": np.where(right, "yes", "no")}), path)
