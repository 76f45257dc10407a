"""What a table says of a search: which trial was best, and by what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesweep.search.trials import Trial, best, history, monitor, on_select, proposed
from tunesweep.store import Store


def summary(data: Mapping[str, Any], store: Store) -> list[str]:
    """Return the lines below the table of a search; none for any other sweep."""
    search, trials = data.get("search"), history(proposed(data), store)
    if not isinstance(search, Mapping) or not trials:
        return []
    scored = sum(trial.score is not None for trial in trials)
    done = f"{len(trials)} of {search.get('total')} trials, {scored} with a score"
    chosen = best(trials)
    found = _found(chosen, data, store) if chosen else "no trial has a score"
    lines = [f"Search: {', '.join(map(str, search.get('words') or ()))}. So far {done}."]
    return [*lines, f"best on select: {found}"]


def _found(trial: Trial, data: Mapping[str, Any], store: Store) -> str:
    """Name the best trial with its scores: the one on select is the best of many, and so too good."""
    record = store.get(trial.run_id)
    assert record is not None
    point = (data.get("points") or {}).get(trial.run_id) or {}
    name, scores = point.get("name", record.name), f"{monitor(record)} {on_select(trial.run_id, store):.4g}"
    protocol, main = record.metrics.get("protocol"), record.main_metric
    if protocol and main is not None:
        scores += f"; on {protocol['split']}, which nothing was chosen by, {protocol['metric']} {main:.4g}"
    return f"{name} ({scores}; run {trial.run_id})"
