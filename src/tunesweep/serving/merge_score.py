"""What merging does to a score: the exported whole model beside the run it came from (R13)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tunesweep.config import RunConfig
from tunesweep.errors import BadConfig, IntegrityError
from tunesweep.record import RunRecord
from tunesweep.serving import loading
from tunesweep.serving.rescore import (
    OTHER,
    Again,
    rescore,
    scored_or_refused,
    stored_predictions,
    tolerance,
    whole_scored,
)
from tunesweep.silence import quiet_libraries
from tunesweep.store import Store


def measure(store: Store, record: RunRecord, config: RunConfig, folder: Path) -> dict[str, Any]:
    """Score the test split by a whole model on disk; return n, its score, and what differs from the run's."""
    task, scored = whole_scored(store, config, folder)
    before, stored = scored_or_refused(record), stored_predictions(store, record)
    score = float(scored.metrics[task.metric])
    found = {
        "n": int(scored.metrics["n"]),
        "metric": task.metric,
        "score": score,
        "score_change": score - before,
    }
    # Where answers are written, texts say more than the classes that are read off them.
    words = [name for name in ("text", "prediction") if name in scored.columns]
    if words:
        pairs = zip(stored[words[0]], scored.columns[words[0]], strict=True)
        found["changed"] = sum(one != other for one, other in pairs)
    sure = [name for name in scored.columns if name.startswith("p:")]
    if sure:
        changes = (
            abs(a - b) for name in sure for a, b in zip(stored[name], scored.columns[name], strict=True)
        )
        found["probability_change"] = float(max(changes))
    return found


def remember(store: Store, record: RunRecord, figures: dict[str, Any]) -> None:
    """Put the figures into the record as it is now in the store."""
    with store.claim(record.run_id):
        current = store.get(record.run_id) or record
        current.integrity["merge"] = {**current.integrity.get("merge", {}), "export": figures}
        store.put(current)
    record.integrity = current.integrity


def rescore_folder(store: Store, folder: Path, device: str = "auto") -> list[Again]:
    """Score what an export holds once more; an adapter must give the run's results, a model its own."""
    marks = sorted({*folder.glob("tunesweep.json"), *folder.glob("*/tunesweep.json")})
    if not marks:
        raise BadConfig(f"{folder} is no export: give a folder that tunesweep export has written")
    return [_rescore_mark(store, mark, device) for mark in marks]


def _rescore_mark(store: Store, mark: Path, device: str) -> Again:
    try:
        told = json.loads(mark.read_text("utf-8"))
        record = loading.finished(store, str(told["run_id"]))
        kind = str(told["kind"])
    except (ValueError, KeyError, TypeError):
        raise BadConfig(f"{mark} does not say of which run it is: export the run again") from None
    if kind == "adapter":
        return rescore(store, record, device, mark.parent)
    return _rescore_whole(store, record, mark.parent, device)


def _rescore_whole(store: Store, record: RunRecord, folder: Path, device: str) -> Again:
    known = (record.integrity.get("merge") or {}).get("export")
    if not known:
        raise BadConfig(f"the record of run {record.run_id} has no score of a merged model: export it again")
    config = loading.config_of(store, record, device)
    with quiet_libraries():
        found = measure(store, record, config, folder)
    keys = ("score", "changed", "probability_change")
    change = max(abs(found[key] - known[key]) for key in keys if key in known)
    if change > tolerance(record, config):
        raise IntegrityError(
            f"{OTHER.format(record.run_id)} after merging: {found['metric']} {found['score']:.4f} with "
            f"{found.get('changed', 0)} examples answered otherwise, not {known['score']:.4f} with "
            f"{known.get('changed', 0)}; export the run again"
        )
    return Again(record.run_id, found["metric"], found["n"], found["score"], known["score"], change)
