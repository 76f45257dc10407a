"""W&B mirrors what the store holds: one run a point, and the comparison of each sweep (R8)."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tunesweep.config import RunConfig, WandbConfig
from tunesweep.record import RunRecord
from tunesweep.sweep.plan import Plan

log = logging.getLogger(__name__)


def mirror_run(record: RunRecord, config: RunConfig) -> str | None:
    """Send one record: config, curves, scores and confusion matrix; return what went wrong, if anything did.

    The mirror is never the reason why a result is lost: its errors are warnings.
    """
    point = config.runtime.point
    tags = [record.config["model"]["name"], record.config["method"]["name"], record.status]

    def send(run: Any) -> None:
        for epoch in record.history:
            run.log({f"curve/{key}": value for key, value in epoch.items()}, step=epoch["epoch"])
        run.summary.update(_flat({"test": _scalars(record.metrics.get("test", {})), "cost": record.cost}))
        run.summary.update({"status": record.status, **_flat({"parameters": record.parameters})})
        if "confusion" in record.metrics.get("test", {}):
            _log_confusion(run, record.metrics["test"]["confusion"], record.data["labels"])

    return _session(
        config.runtime.wandb,
        Path(config.runtime.store),
        send,
        exit_code=int(record.failed),
        id=record.run_id,
        name=record.name,
        group=point.sweep_id or None,
        tags=[f"sweep:{point.sweep_id}", *tags],
        config=record.config,
        job_type="point",
    )


def mirror_sweep(plan: Plan) -> str | None:
    """Send the comparison table of a sweep as a run of its own."""
    from tunesweep.report.rows import Row

    runtime = plan.points[0].config.runtime
    records = [record for record in map(plan.store.get, plan.members) if record is not None]

    def send(run: Any) -> None:
        import wandb

        rows = [_flat(Row.from_record(record).raw) for record in records]
        columns = list(dict.fromkeys(key for row in rows for key in row))
        data = [[row.get(column) for column in columns] for row in rows]
        run.log({"comparison": wandb.Table(columns=columns, data=data)})

    return _session(
        runtime.wandb,
        Path(runtime.store),
        send,
        exit_code=0,
        id=f"sweep-{plan.sweep_id}",
        name=f"comparison {plan.sweep_id}",
        group=plan.sweep_id,
        tags=[f"sweep:{plan.sweep_id}", "comparison"],
        job_type="comparison",
    )


def _session(
    settings: WandbConfig, store: Path, send: Callable[[Any], None], exit_code: int, **run: Any
) -> str | None:
    """Open a W&B run, send, and always finish it with the exit code of what it mirrors."""
    mode: Any = settings.mode
    if mode == "disabled":
        return None
    try:
        import wandb

        os.environ.setdefault("WANDB_SILENT", "true")
        store.mkdir(parents=True, exist_ok=True)
        session = wandb.init(
            project=settings.project,
            entity=settings.entity,
            mode=mode,
            dir=str(store),
            reinit="create_new",  # a second init in one process would return the first run
            settings=wandb.Settings(silent=True, console="off"),
            **run,
        )
        try:
            send(session)
        finally:
            session.finish(exit_code=exit_code)
    except Exception as error:  # whatever the mirror throws must not cost the result
        problem = f"W&B ({mode}) could not be written: {type(error).__name__}: {error}"
        log.warning(problem)
        return problem
    return None


def _log_confusion(run: Any, confusion: list[list[int]], names: list[str]) -> None:
    """Send the matrix as a table of counts: W&B's own plot wants every example, and cuts off at 10,000."""
    import wandb

    rows = [[names[i], names[j], count] for i, row in enumerate(confusion) for j, count in enumerate(row)]
    table = wandb.Table(columns=["Actual", "Predicted", "nPredictions"], data=rows)
    fields = {"Actual": "Actual", "Predicted": "Predicted", "nPredictions": "nPredictions"}
    run.log({"confusion_matrix": wandb.plot_table("wandb/confusion_matrix/v1", table, fields)})


def _scalars(scores: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in scores.items() if isinstance(value, int | float)}


def _flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return dotted keys; lists become text, so that a table cell can hold them."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = (
                value if isinstance(value, int | float | str | bool | None) else str(value)
            )
    return flat
