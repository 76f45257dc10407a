"""A record as a W&B run: configuration, learning curve, scores, costs, confusion matrix, classes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tunesweep.config import WandbConfig
from tunesweep.record import RunRecord
from tunesweep.report.fields import dig, number
from tunesweep.report.html.details import KINDS, square
from tunesweep.report.learned import learned
from tunesweep.report.rows import UNSHOWN, Row
from tunesweep.report.tracking.session import NAME, flat, key, session, tag, tags_of

JOB = "point"
CLASSES = ("class", "precision", "recall", "F1", "examples")


def send_run(record: RunRecord, settings: WandbConfig, store: Path, sweeps: Iterable[str] = ()) -> str | None:
    """Send one record; return what went wrong, if anything did. `sweeps` are all that it belongs to."""
    try:
        row = Row.from_record(record)
    except UNSHOWN as error:
        return f"its record cannot be shown: {error}"
    return session(
        settings,
        store,
        lambda run: _fill(run, record),
        exit_code=int(record.failed),
        id=record.run_id,
        name=record.name[:NAME] or None,
        group=record.sweep_id[:NAME] or None,
        tags=_tags(record, comparable(row), sweeps),
        config=_config(record, comparable(row)),
        job_type=JOB,
    )


def comparable(row: Row) -> str | None:
    """Return a name that runs share if their scores compare (R15): data set, metric, mark of the rest."""
    if row.measured is None:
        return None
    mark = hashlib.sha256(json.dumps(row.measured).encode()).hexdigest()[:6]
    return key(f"{row['dataset'] or 'unknown'}_{row['metric']}_{mark}")


def block_tag(name: str | None) -> str | None:
    """Return the tag of runs whose scores compare: what dashboards pick the runs of a block by."""
    return name and tag(f"block:{name}")


def score_key(row: Row) -> str | None:
    """Return under which name the score of a run is sent: no panel can mix what does not compare."""
    name = comparable(row)
    return name and f"score_{name}"


def curves(record: RunRecord) -> Iterator[dict[str, float]]:
    """Yield what is sent of each epoch."""
    for place, entry in enumerate(record.history, 1):
        scores = {key(f"curve_{name}"): value for name, value in entry.items() if name != "epoch"}
        known = {name: value for name, value in scores.items() if number(value) is not None}
        yield {"epoch": number(entry.get("epoch")) or place} | known


def summary(record: RunRecord) -> dict[str, Any]:
    """Return what a run comes to, by the names that panels use."""
    row = Row.from_record(record)
    parts = {
        "test": _scalars(record.metrics.get("test")),
        "before": _scalars(record.metrics.get("before")),
        "cost": record.cost | {"training_minutes": row["training_minutes"]},
        "parameters": record.parameters,
        "encoding": _scalars(record.encoding),
        "failure": {name: (record.failure or {}).get(name) for name in ("class", "message")},
    }
    score = {score_key(row): row["score"]} if row["score"] is not None and row.measured else {}
    ends = {"score": row["score"], "score_low": row["low"], "score_high": row["high"]}
    found = flat(parts) | score | ends | {"train_rows": row["train_rows"]}
    return {"status": row["outcome"]} | {
        str(name): value for name, value in found.items() if value is not None
    }


def _scalars(scores: Any) -> dict[str, Any]:
    return {name: value for name, value in (scores or {}).items() if isinstance(value, int | float)}


def _tags(record: RunRecord, block: str | None, sweeps: Iterable[str]) -> list[str]:
    groups = (f"sweep:{name}" for name in (record.sweep_id, *sweeps) if name)
    parts = (dig(record.config, f"{group}.name") for group in ("model", "method", "dataset"))
    mark = "not learned" if learned(record) is False else None
    words = (*(str(part) for part in parts if part), record.status, mark)
    return tags_of([*groups, *words, block_tag(block)])


def _config(record: RunRecord, block: str | None) -> dict[str, Any]:
    """Return the record's own configuration, and beside it where the run comes from."""
    more = {"comparable": block, "sweep_id": record.sweep_id}
    return record.config | more | {"provenance": record.provenance, "ran": record.runtime}


def _fill(run: Any, record: RunRecord) -> None:
    run.define_metric("epoch")
    run.define_metric("curve_*", step_metric="epoch")
    for values in curves(record):
        run.log(values, step=int(values["epoch"]))
    results = summary(record)
    # Charts of bars take what was logged; the rest of the summary needs no history.
    run.log({name: value for name, value in results.items() if name.startswith("score")} | _tables(record))
    run.summary.update(results)


def _tables(record: RunRecord) -> dict[str, Any]:
    test, labels = record.metrics.get("test") or {}, record.data.get("labels") or []
    confusion, classes = test.get("confusion"), test.get("per_class")
    found = {"confusion_matrix": _confusion(confusion, labels)} if square(confusion, labels) else {}
    return found | ({"classes": _classes(classes)} if classes else {})


def _confusion(confusion: Any, names: list[Any]) -> Any:
    """Return the matrix as a table of counts: W&B's own plot wants every example, and cuts off at 10,000."""
    import wandb

    rows = [
        [str(names[i]), str(names[j]), count]
        for i, row in enumerate(confusion)
        for j, count in enumerate(row)
    ]
    table = wandb.Table(columns=["Actual", "Predicted", "nPredictions"], data=rows)
    fields = {"Actual": "Actual", "Predicted": "Predicted", "nPredictions": "nPredictions"}
    return wandb.plot_table("wandb/confusion_matrix/v1", table, fields)


def _classes(classes: dict[str, Any]) -> Any:
    import wandb

    rows = [[str(label), *(number(dig(scores, kind)) for kind in KINDS)] for label, scores in classes.items()]
    return wandb.Table(columns=list(CLASSES), data=rows)
