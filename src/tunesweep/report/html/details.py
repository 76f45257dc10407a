"""What the records of a block's rows say beside their scores: classes, failures, provenance. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tunesweep.record import RunRecord
from tunesweep.report.fields import dig, flatten, number, one_line
from tunesweep.report.rows import Row
from tunesweep.report.series import Records, name_of, without_common

KINDS = ("precision", "recall", "f1-score", "support")


@dataclass(frozen=True)
class Failure:
    """A run without a number, and why."""

    run: str
    name: str
    kind: str
    message: str
    log: str


@dataclass(frozen=True)
class Fact:
    """Something of where runs come from, and how many runs say what."""

    name: str
    values: tuple[tuple[str, int], ...]


def classes(rows: list[Row], records: Records) -> list[dict[str, Any]]:
    """Return for each row with a confusion matrix its counts, summed over seeds, and scores of each class.

    As plain values: they are embedded as JSON.
    """
    found = []
    names = without_common([name_of(row) for row in rows])
    for place, (row, name) in enumerate(zip(rows, names, strict=True), 1):
        known = [records[run["run_id"]] for run in row.runs or (row,) if run["run_id"] in records]
        tests = [(dig(record.metrics, "test") or {}, record.data.get("labels") or []) for record in known]
        tests = [(test, labels) for test, labels in tests if square(test.get("confusion"), labels)]
        if tests:
            labels = [str(label) for label in tests[0][1]]
            found.append(
                {
                    "row": place,
                    "name": name,
                    "runs": len(tests),
                    "labels": labels,
                    "confusion": _sum([test["confusion"] for test, _ in tests]),
                    "classes": _means([test.get("per_class") or {} for test, _ in tests], labels),
                }
            )
    return found


def square(matrix: Any, labels: list[Any]) -> bool:
    """Whether this is a matrix with a row and a column for each label."""
    if not isinstance(matrix, list) or not len(matrix) == len(labels) > 0:
        return False
    return all(isinstance(counts, list) and len(counts) == len(labels) for counts in matrix)


def _sum(matrices: list[list[list[int]]]) -> list[list[int]]:
    size = range(len(matrices[0]))
    return [[sum(matrix[i][j] for matrix in matrices) for j in size] for i in size]


def _means(scores: list[dict[str, Any]], labels: list[str]) -> list[list[float | None]]:
    """Return [class, precision recall F1 examples], means over runs; unknown ones are None."""
    # Not by `dig`: a label may hold a dot.
    return [[_mean([each.get(label) for each in scores], kind) for kind in KINDS] for label in labels]


def _mean(scores: list[Any], kind: str) -> float | None:
    known = [value for each in scores if (value := number(dig(each, kind))) is not None]
    return round(sum(known) / len(known), 4) if known else None


def failures(rows: Iterable[Row], records: Records) -> list[Failure]:
    """Return the runs that failed, with the end of their log."""
    found = []
    for row in rows:
        record = records.get(row["run_id"])
        if record and record.failure:
            kind, message, log = (str(record.failure.get(key) or "") for key in ("class", "message", "log"))
            found.append(Failure(record.run_id, record.name, kind, message, log))
    return found


def provenance(records: Iterable[RunRecord]) -> list[Fact]:
    """Return every fact of commit, device and versions, with how many runs say which."""
    counts: dict[str, Counter[str]] = {}
    for record in records:
        for key, value in _facts(record):
            counts.setdefault(key, Counter())[value] += 1
    return [Fact(key, tuple(values.most_common())) for key, values in sorted(counts.items())]


def _facts(record: RunRecord) -> Iterator[tuple[str, str]]:
    for key, value in flatten(record.provenance).items():
        if value is not None and not key.endswith("fingerprint"):
            yield key.removeprefix("versions."), one_line(value)
    if (value := record.data.get("fingerprint")) is not None:
        yield "data (fingerprint)", one_line(value)[:12]
