"""Two finished runs of a store, laid side by side."""

from __future__ import annotations

from tunesweep.errors import BadConfig
from tunesweep.report.compare import Comparison, check_comparable, compare
from tunesweep.report.rows import Row
from tunesweep.report.scores import all_columns
from tunesweep.serving.loading import finished
from tunesweep.store import Store


def compared(store: Store, first: str, second: str) -> Comparison:
    """Return what two runs differ in; refuse one and the same, and two that were not measured alike."""
    if first == second:
        raise BadConfig(f"{first} is one run: give two")
    one, other = (Row.from_record(finished(store, run_id)) for run_id in (first, second))
    check_comparable(one, other)
    return compare(one, other, all_columns(store, one), all_columns(store, other))
