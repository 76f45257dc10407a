"""A finished run trained again in a new process, beside its store; what came out, compared (R2)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tunesweep.errors import IntegrityError, StorageError, TunesweepError
from tunesweep.record import RunRecord
from tunesweep.serving.agreement import Agreement, compare
from tunesweep.serving.loading import finished
from tunesweep.serving.retrain import SAID, Job
from tunesweep.store import NAME, Store

FIRST = 3  # ids that are named


@dataclass(frozen=True)
class Reproduction:
    """A run beside itself, trained again."""

    run_id: str
    agreement: Agreement
    metric: str
    recorded: float
    again: float
    tolerance: float
    surroundings: tuple[str, ...] = ()  # what is not as it was, and may explain a difference

    @property
    def holds(self) -> bool:
        """Whether the run came out as it was recorded: to the bit, or within the tolerance."""
        return self.agreement.within(self.tolerance) and abs(self.recorded - self.again) <= self.tolerance

    def sentences(self) -> Iterator[str]:
        """Say what was found, the verdict first."""
        yield f"{self._verdict()}: run {self.run_id}, trained again: {self._found()}"
        if self.again == self.recorded:
            yield f"{self.metric}: {self.recorded!r} both times"
        else:
            yield f"{self.metric}: {self.recorded!r} recorded, {self.again!r} again"
        if not self.agreement.identical:
            yield from (f"not as it was: {change}" for change in self.surroundings)

    def _verdict(self) -> str:
        if self.holds:
            return "identical to the bit" if self.agreement.identical else f"within {self.tolerance:g}"
        return "different"

    def _found(self) -> str:
        found = self.agreement
        if found.shape is not None:
            return found.shape
        if found.identical:
            return f"{', '.join(_shown(found.columns))} of {found.n:,} examples"
        named = ", ".join((found.answers or found.odd)[:FIRST])
        largest = (
            f"; the largest change of a number is {found.change:.3g} ({found.where})" if found.where else ""
        )
        return (
            f"{len(found.answers):,} of {found.n:,} examples got another prediction, "
            f"{len(found.odd):,} differ in anything ({named} first){largest}"
        )


def _shown(columns: Sequence[str]) -> list[str]:
    """Return names of columns; the many probabilities are one."""
    names = ["probabilities" if name.startswith("p:") else name for name in columns]
    return list(dict.fromkeys(names))


def reproduce(store: Store, run_id: str, tolerance: float = 0.0, device: str | None = None) -> Reproduction:
    """Train a finished run again, in a temporary store beside its own, of which nothing is changed.

    `device` is that of the run if None. Raises for runs without a result or whose inputs have changed.
    """
    record = finished(store, run_id)
    recorded = predictions(store, record)
    root = store.root.resolve()
    with _beside(root) as folder:
        again = _trained(Job(run_id, str(root), folder, _cache(root), device or _device(record)), store)
        found = compare(recorded, predictions(Store(folder), again))
    metric = str(record.metrics["protocol"]["metric"])
    changes = tuple(_differences(record, again))
    return Reproduction(run_id, found, metric, score(record), score(again), tolerance, changes)


def _beside(root: Path) -> tempfile.TemporaryDirectory[str]:
    """Return a temporary store beside a store: where that has room for runs."""
    try:
        return tempfile.TemporaryDirectory(prefix=f".{root.name}-reproduce-", dir=root.parent)
    except OSError as error:
        reason = error.strerror or error
        raise StorageError(
            f"no temporary store can be made in {root.parent} ({reason}): make that folder writable, or give "
            "a copy of the store by --store FOLDER"
        ) from None


def score(record: RunRecord) -> float:
    """Return the score of a record, or refuse one without."""
    if record.main_metric is None:
        raise StorageError(f"the record of run {record.run_id} holds no score: run it again")
    return record.main_metric


def predictions(store: Store, record: RunRecord) -> dict[str, list[Any]]:
    """Return a run's predictions by column, or say that there are none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = store.root / record.artefacts.get("predictions", "none")
    if not path.is_file():
        raise StorageError(
            f"run {record.run_id} has no predictions to compare with ({path} does not exist): the same "
            "command with runtime.force=true makes them again"
        )
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise StorageError(f"{path} is no readable file of predictions ({error}): run it again") from None
    if "id" not in table.column_names:
        raise StorageError(f"{path} is no file of predictions: it has no column id")
    return {name: table[name].to_pylist() for name in table.column_names}


def _trained(job: Job, store: Store) -> RunRecord:
    """Let another process train, and return the record that it leaves in the temporary store."""
    status = _status(
        [sys.executable, "-P", "-m", "tunesweep.serving.retrain", json.dumps(asdict(job))],
        _folder(store, job.run_id),
    )
    said = Path(job.beside) / SAID
    if said.is_file():
        raise TunesweepError(json.loads(said.read_text(encoding="utf-8")))
    record = Store(job.beside).get(job.run_id)
    if record is None:
        raise TunesweepError(
            f"the process that trained run {job.run_id} again ended with status {status} and left "
            "no record: its last lines are above"
        )
    if not record.succeeded:
        failure = record.failure or {}
        raise IntegrityError(
            f"run {job.run_id}, trained again, failed: {failure.get('class')}: {failure.get('message')}"
        )
    return record


def _status(command: Sequence[str], folder: Path) -> int:
    """Carry out a command to its end, which is also that of this process, and return its status."""
    # Standard output is the verdict's.
    with subprocess.Popen(command, cwd=folder, env=_environment(), stdout=2) as process:
        try:
            return process.wait()
        finally:
            if process.poll() is None:  # we were interrupted: nothing may write any more when the store goes
                process.kill()
                process.wait()


def _environment() -> dict[str, str]:
    """Return this process's environment, in which the other finds the modules that this one finds."""
    places = os.pathsep.join(place or str(Path.cwd()) for place in sys.path)
    return {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": places}


def _folder(store: Store, run_id: str) -> Path:
    """Return where the command of a run was given, which its paths are relative to; or where we are."""
    record = store.get(run_id)
    named = record.sweep_id if record and NAME.fullmatch(record.sweep_id) else None
    sweep = store.get_sweep(named) if named else None
    point: Any = ((sweep or {}).get("points") or {}).get(run_id)
    for key in ("config", "runtime", "point", "folder"):
        point = point.get(key) if isinstance(point, dict) else None
    return Path(point) if isinstance(point, str) and point and Path(point).is_dir() else Path.cwd()


def _cache(root: Path) -> str:
    named = os.environ.get("TUNESWEEP_CACHE")
    return str(Path(named).resolve() if named else root / "cache")


def _device(record: RunRecord) -> str:
    return str(record.runtime.get("device") or "auto")


def _differences(record: RunRecord, again: RunRecord) -> Iterator[str]:
    """Yield what surrounded the run and is not as it was."""
    then, now = record.provenance, again.provenance
    for key in ("device", "threads", "python"):
        if then.get(key) != now.get(key):
            yield f"{key} {then.get(key)}, now {now.get(key)}"
    versions = then.get("versions") or {}
    for name, other in (now.get("versions") or {}).items():
        if versions.get(name) != other:
            yield f"{name} {versions.get(name)}, now {other}"
    commits = [(part.get("git") or {}).get("commit") for part in (then, now)]
    if commits[0] != commits[1]:
        yield f"commit {commits[0]}, now {commits[1]}"
