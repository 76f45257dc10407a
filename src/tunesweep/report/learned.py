"""Whether a run learned: it beat the network it began with, and by more than by saying one thing."""

from __future__ import annotations

from tunesweep.record import RunRecord
from tunesweep.report.fields import dig, number

INTERRUPTED = "interrupted"


def one_answer(record: RunRecord) -> str | None:
    """Return the class that every scored example was said to be; None where there is no such class."""
    split = dig(record.metrics, "protocol.split")
    confusion, n = (dig(record.metrics, f"{split}.{key}") for key in ("confusion", "n"))
    labels = record.data.get("labels") or ()
    if not isinstance(confusion, list) or [type(row) for row in confusion] != [list] * len(labels):
        return None
    if {len(row) for row in confusion} != {len(labels)} or sum(map(any, confusion)) < 2:
        return None  # of one true class nothing else is to be said
    said = [sum(column) for column in zip(*confusion, strict=True)]
    return str(labels[said.index(n)]) if n in said else None  # an answer that cannot be read has no column


def learned(record: RunRecord) -> bool | None:
    """Return whether a run learned; None where it was not asked."""
    found = record.metrics.get("learned")
    if not isinstance(found, bool):
        return None
    return found and one_answer(record) is None and not at_chance(record)


def at_chance(record: RunRecord) -> bool:
    """Whether the interval of an accuracy holds what is right if the most frequent class is always said.

    An untrained head may lie far below that, so that beating it shows nothing.
    """
    split, metric = (dig(record.metrics, f"protocol.{key}") for key in ("split", "metric"))
    confusion, interval, n = (dig(record.metrics, f"{split}.{key}") for key in ("confusion", "interval", "n"))
    low = number(interval[0]) if isinstance(interval, list) and interval else None
    of_some_classes = "specialisation" in record.metrics  # it was asked of these alone
    if metric != "accuracy" or low is None or of_some_classes or not _table(confusion):
        return False
    most, counted = max(map(sum, confusion)), sum(map(sum, confusion))
    return bool(counted == n and most < n and low <= most / n)  # else some answers could not be read


def _table(value: object) -> bool:
    """Whether this is a table of counts."""
    rows = value if isinstance(value, list) else []
    return bool(rows) and all(
        isinstance(row, list) and row and all(isinstance(count, int) for count in row) for row in rows
    )


def outcome(record: RunRecord) -> str:
    """Return the status in a reader's words."""
    if (record.failure or {}).get("class") == INTERRUPTED:
        return INTERRUPTED
    return f"{record.status}, not learned" if learned(record) is False else record.status
