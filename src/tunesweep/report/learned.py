"""Whether a run learned: it beat the network it began with, and by more than by saying one thing."""

from __future__ import annotations

from tunesweep.record import RunRecord
from tunesweep.report.fields import dig

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
    return found and one_answer(record) is None


def outcome(record: RunRecord) -> str:
    """Return the status in a reader's words."""
    if (record.failure or {}).get("class") == INTERRUPTED:
        return INTERRUPTED
    return f"{record.status}, not learned" if learned(record) is False else record.status
