"""What a run leaves behind: one JSON file, the product of the whole project."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from tunesweep.config import RunConfig
from tunesweep.upgrades import SCHEMA_VERSION, upgrade

_RUNTIME = (
    "executor",
    "device",
    "threads",
    "strategy",
    "devices",
    "micro_batch",
    "eval_batch_size",
    "gradient_checkpointing",
    "packing",
    "compile",
    "attention",
    "kernels",
)


@dataclass
class RunRecord:
    """One run, whatever came of it.

    Times are seconds (`*_s`) or minutes (`minutes_*`), sizes bytes (`*_bytes`), `started` and
    `finished` ISO 8601 in UTC. A number that was not measured is absent or null, never a sentinel.
    """

    run_id: str
    status: str  # succeeded, failed, stopped
    sweep_id: str
    name: str  # what tells the point apart in words, for people
    config: dict[str, Any]  # resolved, without runtime
    runtime: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)  # split -> metric -> value, and `protocol`
    history: list[dict[str, Any]] = field(default_factory=list)  # one entry an epoch
    resumed: list[int] = field(default_factory=list)  # optimiser steps from which it went on after a stop
    cost: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, int] = field(default_factory=dict)  # total, adapter, head, trainable
    data: dict[str, Any] = field(default_factory=dict)
    encoding: dict[str, Any] = field(default_factory=dict)
    integrity: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    artefacts: dict[str, str] = field(default_factory=dict)  # kind -> path below the store
    failure: dict[str, str] | None = None  # class, message, log
    stopped: str = ""  # of a run that ended early, by choice: when, and why
    warnings: list[str] = field(default_factory=list)
    started: str = ""
    finished: str = ""
    schema_version: int = SCHEMA_VERSION

    @property
    def failed(self) -> bool:
        """Whether the point has no number to show."""
        return self.status == "failed"

    @property
    def succeeded(self) -> bool:
        """Whether the point has a score, and what belongs to it."""
        return self.status == "succeeded"

    @property
    def shortfall(self) -> str:
        """Return, for a sentence on a run that did not succeed, what became of it."""
        if self.status == "stopped":
            return "was stopped early (a command without runtime.early_exit carries it out)"
        return "has failed"

    @property
    def main_metric(self) -> float | None:
        """Return the number that the table compares, if there is one."""
        protocol = self.metrics.get("protocol")
        return float(self.metrics[protocol["split"]][protocol["metric"]]) if protocol else None

    def to_json(self) -> str:
        """Return the record as JSON, readable and stable; NaN is refused."""
        return json.dumps(asdict(self), indent=1, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> RunRecord:
        """Read a record of this version or an earlier one; unknown keys are passed over, NaN is refused."""
        data = upgrade(orjson.loads(text))  # a report of ten thousand records is mostly this line
        return cls(**{key: value for key, value in data.items() if key in cls.__dataclass_fields__})


def unstarted(config: RunConfig, message: str, kind: str, log: str = "") -> RunRecord:
    """Return the record of a point that was not carried out, or whose process said nothing."""
    record = draft(config)
    record.failure = {"class": kind, "message": message, "log": log}
    return record


def settled(record: RunRecord | None, config: RunConfig) -> bool:
    """Whether a point needs no carrying out: it succeeded, or was stopped early and would be again."""
    if record is None or config.runtime.force:
        return False
    return record.succeeded or (record.status == "stopped" and config.runtime.early_exit is not None)


def draft(config: RunConfig) -> RunRecord:
    """Return the record of a point that has not begun: who it is, and nothing else."""
    point = config.runtime.point
    parts = asdict(config)
    runtime = parts.pop("runtime")
    runtime["executor"] = point.executor
    if not point.uses_lora:
        del parts["lora"]
    if not config.method.trained:
        parts["train"] = {"precision": config.train.precision}
    return RunRecord(
        run_id=point.run_id,
        status="failed",
        sweep_id=point.sweep_id,
        name=point.name,
        config=parts,
        runtime={key: runtime[key] for key in _RUNTIME} | {"lr_by_hand": point.lr_by_hand},
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )
