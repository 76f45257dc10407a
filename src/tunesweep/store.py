"""Where runs and sweeps lie on disk; every file is written whole or not at all."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from types import NoneType
from typing import IO, Any

from tunesweep import locks
from tunesweep.errors import StorageError, require
from tunesweep.parts import part_of
from tunesweep.record import RunRecord
from tunesweep.upgrades import NewerRecord

SUFFIXES = {
    "records": ".json",
    "predictions": ".parquet",
    "adapters": "",
    "sweeps": ".json",
    "reports": "",
    "exports": "",
    "locks": ".lock",
    "work": "",
}
SCORED = ("test", "select", "before", "protocol")  # parts of a record's metrics
STATUSES = ("succeeded", "failed", "stopped")
Mark = tuple[int, int, int]  # of a file: time of writing in ns, inode, size
NAME = re.compile(r"[0-9A-Za-z_-]+")
_EMPTY = RunRecord("", "", "", "", {})
_TYPES = {item.name: type(getattr(_EMPTY, item.name)) for item in fields(_EMPTY) if item.name != "failure"}
UNREADABLE = (ValueError, TypeError, AttributeError, RecursionError, StorageError)  # what `parse` may raise


class Busy(Exception):
    """Another process holds the run."""


def write(path: Path, text: str) -> None:
    """Put a text under a path in one step: a reader finds the old file or the new one, never half of it."""
    part = part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)  # noqa: PTH105 - tests fail it, as a full disk would
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> StorageError:
    reason = error.strerror or error
    remedy = "free some space there, or name a folder that can be written to by runtime.store=FOLDER"
    return StorageError(f"{path} cannot be written ({reason}): {remedy}")


def parse(run_id: str, text: str | bytes) -> RunRecord:
    """Read a record, and refuse what a table could not be made of."""
    record = RunRecord.from_json(text)
    for name, expected in _TYPES.items():
        if not isinstance(getattr(record, name), expected):
            raise ValueError(f"its {name} is not of type {expected.__name__}")
    if record.status not in STATUSES:
        raise ValueError(f"its status {record.status} is none of {', '.join(STATUSES)}")
    if record.failure is not None and not isinstance(record.failure, dict):
        raise ValueError("its failure is not of type dict")
    if not all(isinstance(record.metrics.get(name, {}), dict | NoneType) for name in SCORED):
        raise ValueError(f"its metrics.{', '.join(SCORED)} are not of type dict")
    if not all(isinstance(entry, dict) for entry in record.history):
        raise ValueError("the entries of its history are not of type dict")
    if record.run_id != run_id:
        raise ValueError(f"it says it is run {record.run_id}")
    return record


def is_sweep(data: object) -> bool:
    """Whether a file's content is what `put_sweep` writes, as far as a report relies on it."""
    if not isinstance(data, dict) or not isinstance(data.get("duplicates", 0), int):
        return False
    members, points, options = data.get("members"), data.get("points", {}), data.get("report") or {}
    if not (isinstance(members, list) and isinstance(points, dict) and isinstance(options, dict)):
        return False
    if not all(isinstance(point, dict) for point in points.values()):
        return False
    told = [options.get(name) for name in ("columns", "factors", "tuning")]
    return all(
        map(_words, [members, data.get("command"), *told, *(p.get("labels") for p in points.values())])
    )


def _words(value: object) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(word, str) for word in value))


class Store:
    """Records, predictions, adapters, sweeps and reports below one folder.

    `problems` collects a sentence for every file that could not be read: such a point counts as absent.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self.problems: list[str] = []

    def path(self, kind: str, name: str) -> Path:
        """Return where a file of a run or sweep lies; a name never leaves its folder."""
        require(kind, SUFFIXES, "kind of file")
        if not NAME.fullmatch(name):
            raise StorageError(f"{name!r} is not the id of a run or sweep: use letters, digits, '_' and '-'")
        return self.root / kind / f"{name}{SUFFIXES[kind]}"

    def relative(self, path: Path) -> str:
        """Return a path as records name it: below the store, wherever that lies."""
        return path.relative_to(self.root).as_posix()

    def put(self, record: RunRecord) -> None:
        """Keep a record; an unreadable one of the same id is set aside, not lost, and a newer one is kept."""
        path = self.path("records", record.run_id)
        if path.exists() and self.get(record.run_id) is None:
            try:
                path.rename(path.with_name(f"{path.name}.broken"))
            except OSError as error:
                raise _unwritable(path, error) from None
        write(path, record.to_json())

    def get(self, run_id: str) -> RunRecord | None:
        """Return a record, or nothing when there is none that can be read; refuse one of a later version."""
        path = self.path("records", run_id)
        try:
            return parse(run_id, path.read_bytes())
        except FileNotFoundError:
            return None
        except NewerRecord as error:
            raise NewerRecord(f"{path} was written by a later version ({error})") from None
        except (*UNREADABLE, OSError) as error:
            self._problem(f"{path} is not a readable record ({error}): the same command runs its point again")
            return None

    def records(self) -> list[RunRecord]:
        """Return every readable record, by id."""
        return list(self.each())

    def each(self) -> Iterator[RunRecord]:
        """Yield every readable record, by id; one of a later version is a problem."""
        for name in self.names("records"):
            try:
                record = self.get(name)
            except NewerRecord as error:
                self._problem(str(error))
                continue
            if record:
                yield record

    def put_sweep(self, sweep_id: str, data: dict[str, Any]) -> None:
        """Keep the members and frozen configs of a sweep."""
        write(self.path("sweeps", sweep_id), json.dumps(data, indent=1, allow_nan=False))

    def get_sweep(self, sweep_id: str) -> dict[str, Any] | None:
        """Return a sweep, or nothing when there is none that can be read."""
        path = self.path("sweeps", sweep_id)
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (ValueError, OSError) as error:
            data = error
        if is_sweep(data):
            return data  # type: ignore[no-any-return]
        reason = data if isinstance(data, Exception) else "it is not as a sweep writes it"
        self._problem(f"{path} is not a readable sweep ({reason}): the same command writes it anew")
        return None

    def sweeps(self) -> list[str]:
        """Return the ids of all readable sweeps, the oldest first."""
        found = {name: self.get_sweep(name) for name in self.names("sweeps")}
        started = {name: str(data.get("started", "")) for name, data in found.items() if data is not None}
        return sorted(started, key=lambda name: started[name])

    def last_sweep(self) -> str | None:
        """Return the id of the sweep that was started last."""
        return next(reversed(self.sweeps()), None)

    @contextmanager
    def claim(self, run_id: str, wait: bool = True) -> Iterator[None]:
        """Hold a run for this process alone; the kernel lets go of it when the process dies.

        Where another process holds it, wait, or raise `Busy`.
        """
        try:
            file = locks.take(lambda: self._lock_file(run_id), wait)
        except BlockingIOError:
            raise Busy(run_id) from None
        except OSError as error:
            if error.errno not in locks.NONE:
                raise _unwritable(self.path("locks", run_id), error) from None
            file = self._lock_file(run_id)
        with file:
            try:
                yield
            finally:
                locks.let_go(file)

    def busy(self, run_id: str) -> bool:
        """Whether another process holds a run now."""
        try:
            with self.claim(run_id, wait=False):
                return False
        except Busy:
            return True

    def mark(self, run_id: str) -> Mark | None:
        """Return what changes when a record is written anew, or nothing where there is none."""
        try:
            found = self.path("records", run_id).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    def latest(self, since: datetime) -> Iterator[RunRecord]:
        """Yield readable records that were written since then, the last one first."""
        marks = {name: self.mark(name) for name in self.names("records")}
        times = {name: mark[0] for name, mark in marks.items() if mark and mark[0] > since.timestamp() * 1e9}
        for name in sorted(times, key=times.__getitem__, reverse=True):
            if record := self.get(name):
                yield record

    def check_writable(self) -> None:
        """Make the folders and write a little into each, so that a sweep fails before it has begun."""
        for kind in SUFFIXES:
            folder = self.root / kind
            try:
                folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=folder) as file:
                    file.write(bytes(4096))
            except OSError as error:
                raise _unwritable(folder, error) from None

    def _lock_file(self, run_id: str) -> IO[str]:
        path = self.path("locks", run_id)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return path.open("a", encoding="utf-8")
        except OSError as error:
            raise _unwritable(path, error) from None

    def names(self, kind: str) -> list[str]:
        """Return the names of the files of one kind that are named as ours are."""
        files = (self.root / kind).glob(f"*{SUFFIXES[kind]}")
        return sorted(file.stem for file in files if NAME.fullmatch(file.stem))

    def _problem(self, sentence: str) -> None:
        if sentence not in self.problems:
            self.problems.append(sentence)
