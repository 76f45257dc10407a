"""Reports per class: precision, recall and F1 of each row, and its errors before and after training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tunesweep.record import RunRecord
from tunesweep.report.fields import dig, one_line
from tunesweep.report.markdown import markdown_table

HEADER = ("row", "class", "examples", "precision", "recall", "F1", "errors", "errors before training")


def per_class(records: Iterable[RunRecord], sweep: Mapping[str, Any]) -> str:
    """Return one Markdown table with a line for each class of each row."""
    points = sweep.get("points") or {}
    rows = [line for record in records for line in _lines(record, points.get(record.run_id) or {})]
    return markdown_table(HEADER, rows, text=2) if rows else "No row has classes."


def _lines(record: RunRecord, point: Mapping[str, Any]) -> list[tuple[str, ...]]:
    name = one_line(", ".join(point.get("labels") or ()) or record.name)
    scores, before = (dig(record.metrics, f"{part}.per_class") or {} for part in ("test", "before"))
    order = [label for label in record.data.get("labels", ()) if label in scores]  # a file sorts its keys
    return [(name, one_line(label), *_cells(scores[label], before.get(label))) for label in order]


def _cells(found: Mapping[str, float], before: Mapping[str, float] | None) -> tuple[str, ...]:
    shares = (f"{found[key]:.3f}" for key in ("precision", "recall", "f1-score"))
    earlier = "–" if before is None else str(_errors(before))
    return f"{found['support']:.0f}", *shares, str(_errors(found)), earlier


def _errors(found: Mapping[str, float]) -> int:
    """Return how many examples of a class were taken for another."""
    return round(found["support"] * (1 - found["recall"]))
