"""A store that looks like one of a long study: three blocks, ties, failures, dashes; made, not run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice, product
from statistics import NormalDist
from typing import Any

import numpy as np

from tunesweep.record import RunRecord
from tunesweep.store import Store

METHODS = (
    *(("full", None), ("lora", 4), ("lora", 8), ("lora", 16), ("lora", 32)),
    *(("qlora", 4), ("qlora", 8), ("qlora", 16), ("qlora", 32), ("bitfit", None), ("head_only", None)),
)
BEHIND = {"full": 0.0, "lora": 0.0, "qlora": 0.004, "bitfit": 0.05, "head_only": 0.16}
SIZES = (250, 1000, 4000)
SEEDS = 3
LOG = 'Traceback (most recent call last):\n  File "train.py", line 12\nOutOfMemoryError: <no room> & more'


@dataclass(frozen=True)
class Data:
    """What one block is about."""

    name: str
    labels: tuple[str, ...]
    share: int  # of ten runs, how many are of this block
    metric: str = "accuracy"


DATA = (
    Data("reviews", ("fresh", "rotten"), 5),
    Data("trec", ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"), 3),
    Data("wikitext2", (), 2, "perplexity"),
)


def fill(
    store: Store,
    runs: int,
    *,
    examples: int = 200,
    predictions: bool = True,
    odd_name: str = "",
    sweep_id: str = "made",
) -> Store:
    """Write that many records and one sweep of them; about one run in twenty fails, one has no record.

    `odd_name` is put before the name of the first run. Without `predictions` rows have scores, but nothing to
    be compared by.
    """
    members, points = [], {}
    for number, (data, config) in enumerate(islice(_points(), runs)):
        record = _record(number, data, config, sweep_id)
        if number == 0:
            record.name = f"{odd_name}{record.name}"
        members.append(record.run_id)
        points[record.run_id] = {"name": record.name, "config": config}
        if number == runs - 1:
            continue  # a point that was not carried out
        if number % 20 == 19:
            _fail(record)
        else:
            _succeed(store, record, data, examples, predictions)
        path = store.path("records", record.run_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(record.to_json())  # not through `put`, which waits for the disk each time
    sweep = {"sweep_id": sweep_id, "started": "2026-01-01T00:00:00+00:00", "command": COMMAND}
    store.put_sweep(sweep_id, sweep | {"members": members, "points": points, "duplicates": 0})
    return store


COMMAND = ["train.py", "method=full,lora,qlora,bitfit,head_only", "dataset.limit.train=250,1000,4000"]


def _points() -> Iterator[tuple[Data, dict[str, Any]]]:
    """Yield configurations without end, each block in its share; rates differ from round to round."""
    streams = [_configs(data) for data in DATA]
    while True:
        for data, stream in zip(DATA, streams, strict=True):
            for config in islice(stream, data.share * SEEDS):
                yield data, config


def _configs(data: Data) -> Iterator[dict[str, Any]]:
    for turn in count():
        for size, (method, r), seed in product(SIZES, METHODS, range(SEEDS)):
            yield _config(data, method, r, {"limit": size, "seed": seed, "turn": turn})


def _config(data: Data, method: str, r: int | None, place: dict[str, int]) -> dict[str, Any]:
    size, seed, turn = place["limit"], place["seed"], place["turn"]
    rate = (1e-3 if r else 2e-5) * (1 + turn)
    found: dict[str, Any] = {
        "model": {"name": "minilm", "family": "encoder", "source": "package:made", "dtype": "float32"},
        "method": {"name": method, "trained": True, "shots": {"k": 0}},
        "dataset": {"name": data.name, "limit": {"train": size, "test": None}},
        "encoding": {"name": "text", "max_length": 64},
        "readout": {"name": "head"},
        "train": {"lr": rate, "epochs": 3, "batch_size": 16, "precision": "fp32"},
        "seed": seed,
        "seeds": {"init": seed, "data": seed, "split": 0},
    }
    return found | ({"lora": {"r": r, "alpha": 2 * r, "dropout": 0.0}} if r else {})


def _record(number: int, data: Data, config: dict[str, Any], sweep_id: str) -> RunRecord:
    method, limit = config["method"]["name"], config["dataset"]["limit"]["train"]
    rank = f" lora.r={config['lora']['r']}" if "lora" in config else ""
    name = f"dataset={data.name} method={method}{rank} dataset.limit.train={limit} seed={config['seed']}"
    runtime = {"executor": "in process", "device": "cpu", "lr_by_hand": False}
    versions = {"torch": "2.13.0", "transformers": "5.23.0", "peft": "0.21.2", "python": "3.11.9"}
    known = {"device": "made", "threads": 1, "git": {"commit": "0123456789abcdef", "dirty": False}}
    return RunRecord(
        run_id=f"{number:016x}",
        status="failed",
        sweep_id=sweep_id,
        name=name,
        config=config,
        runtime=runtime,
        provenance={"versions": versions} | known,
        data={"fingerprint": data.name, "scored_ids": data.name, "labels": list(data.labels)},
        started="2026-01-01T00:00:00+00:00",
        finished="2026-01-01T00:01:00+00:00",
    )


def _fail(record: RunRecord) -> None:
    record.failure = {"class": "out of memory", "message": "no room for <4 GB> of activations", "log": LOG}


def _succeed(store: Store, record: RunRecord, data: Data, examples: int, predictions: bool) -> None:
    config, number = record.config, int(record.run_id, 16)
    quality = _quality(config)
    r = config.get("lora", {}).get("r") or 0
    adapter = {"full": 22_000_000, "bitfit": 51_000, "head_only": 0}.get(config["method"]["name"], 9216 * r)
    record.status = "succeeded"
    record.parameters = {"total": 22_700_000, "adapter": adapter, "head": 770, "trainable": adapter + 770}
    table = _predictions(data, quality, examples, number) if predictions else {}
    record.metrics = _metrics(data, quality, table, examples)
    if table:
        record.artefacts["predictions"] = _keep(store, record.run_id, table)
    minutes = (0.2 + adapter / 4e7) * config["dataset"]["limit"]["train"] / 1000
    record.cost = {"epochs": 3, "minutes_per_epoch": minutes, "minutes": 3 * minutes + 0.2}
    record.cost |= {"memory_bytes": 120_000_000 + 24 * adapter, "memory_how": "sampled"}
    record.cost |= {"disk_bytes": 4 * (adapter + 770), "tokens_per_s": 5000.0}
    if number % 33 == 32:  # what a fused row has not measured
        record.runtime["executor"] = "fused(4)"
        record.cost = {"epochs": 3, "disk_bytes": 4 * (adapter + 770)}
    record.history = [
        {"epoch": epoch, "loss": 1.1 - quality + 0.5 / epoch, "train_loss": 1 - quality + 0.7 / epoch}
        | ({"accuracy": quality - 0.2 / epoch**2} if data.labels else {})
        for epoch in (1, 2, 3)
    ]


def _quality(config: dict[str, Any]) -> float:
    """Return the probability of being right: more examples and ranks help, seeds move it a little."""
    method, r = config["method"]["name"], config.get("lora", {}).get("r")
    gain = 0.02 * np.log2(r / 32) / 3 if r else 0.0
    shortage = 1.6 / np.sqrt(config["dataset"]["limit"]["train"])
    seed = (0.006, -0.004, 0.001)[config["seed"] % SEEDS]
    return float(0.93 - BEHIND[method] + gain - shortage + seed)


def _predictions(data: Data, quality: float, examples: int, number: int) -> dict[str, Any]:
    """Return columns of a parquet file; hard examples are hard for all runs."""
    shared, own = np.random.default_rng(7), np.random.default_rng([11, number])
    ids = [f"test-{place}" for place in range(examples)]
    ease = shared.normal(0, 1, examples)
    if not data.labels:
        loss = np.maximum(0.05, 3.4 - quality + 0.3 * ease + own.normal(0, 0.1, examples))
        tokens = shared.integers(20, 60, examples)
        return {"id": ids, "nll": loss * tokens, "tokens": tokens}
    truth = shared.integers(0, len(data.labels), examples)
    merit = 0.9 * ease + 0.45 * own.normal(0, 1, examples)
    wrong = merit < NormalDist(0, float(np.hypot(0.9, 0.45))).inv_cdf(1 - quality)
    shift = own.integers(1, len(data.labels), examples)
    guess = np.where(wrong, (truth + shift) % len(data.labels), truth)
    names = np.array(data.labels)
    return {"id": ids, "label": names[truth], "prediction": names[guess]}


def _metrics(data: Data, quality: float, table: dict[str, Any], examples: int) -> dict[str, Any]:
    protocol = {"metric": data.metric, "split": "test", "chosen_on": "select"}
    if not data.labels:
        mean = float(table["nll"].sum() / table["tokens"].sum()) if table else 3.4 - quality
        ends = [float(np.exp(mean - 0.05)), float(np.exp(mean + 0.05))]
        test: dict[str, Any] = {"n": examples, "perplexity": float(np.exp(mean)), "interval": ends}
        return {"test": test, "protocol": protocol | {"perplexity": "token, context 256", "tokenizer": "k1"}}
    if not table:
        return {
            "test": {"n": examples, "accuracy": round(quality * examples) / examples},
            "protocol": protocol,
        }
    places = {name: place for place, name in enumerate(data.labels)}
    counts = np.zeros((len(places), len(places)), int)
    for label, guess in zip(table["label"], table["prediction"], strict=True):
        counts[places[label], places[guess]] += 1
    test = {"n": examples, "accuracy": float(np.trace(counts) / examples), "confusion": counts.tolist()}
    return {"test": test | {"per_class": _per_class(data, counts)}, "protocol": protocol}


def _per_class(data: Data, counts: np.ndarray) -> dict[str, Any]:
    found = {}
    for place, name in enumerate(data.labels):
        hit, support, said = counts[place, place], counts[place].sum(), counts[:, place].sum()
        precision, recall = hit / max(said, 1), hit / max(support, 1)
        f1 = 2 * precision * recall / max(precision + recall, 1e-9)
        found[name] = {"precision": precision, "recall": recall, "f1-score": f1, "support": support}
    return {name: {key: float(value) for key, value in row.items()} for name, row in found.items()}


def _keep(store: Store, run_id: str, table: dict[str, Any]) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = store.path("predictions", run_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(table), path)
    return store.relative(path)
