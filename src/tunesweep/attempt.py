"""A point is attempted: whatever happens becomes a record (R3)."""

from __future__ import annotations

import errno
import re
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from tunesweep.config import RunConfig
from tunesweep.errors import EarlyExit, StorageError, TunesweepError
from tunesweep.record import RunRecord, draft
from tunesweep.store import Store

LOG_LINES = 30
_STOPPED = "stopped by the user; the same command runs it again"
_DISK = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO),
    *(errno.EACCES, errno.EPERM, errno.ENOTDIR),
)
_DISK_NUMBER = re.compile(r"(?:os error|errno) (\d+)", re.IGNORECASE)  # of libraries with errors of their own
_MEMORY = ("out of memory", "allocate memory", "unable to allocate", "alloc_failed")
_REMEDIES = {
    "out_of_memory": "; lower runtime.micro_batch, or set runtime.gradient_checkpointing=true",
    "storage": "; free some space, or name other folders by runtime.store and runtime.cache",
}


def attempt(
    config: RunConfig, store: Store, work: Callable[[RunRecord], None], record: RunRecord | None = None
) -> RunRecord:
    """Do the work, which fills the record, and put the record into the store, last of all."""
    record = record or draft(config)
    try:
        work(record)
        record.status = "succeeded"
    except EarlyExit as end:
        record.status, record.stopped = "stopped", str(end)
    except BaseException as error:  # a library's exit, too, is the point's failure
        kind, cause = _diagnose(error)
        _fail(record, kind, _sentence(kind, cause), _log(error))
    _finish(record, store)
    if record.failure and record.failure["class"] == "interrupted":
        said = record.failure["message"]  # after which step, where that is known
        raise KeyboardInterrupt(*([] if said == _STOPPED else [said]))
    return record


def _fail(record: RunRecord, kind: str, message: str, log: str) -> None:
    record.status, record.metrics = "failed", {}
    record.failure = {"class": kind, "message": message, "log": log}


def _finish(record: RunRecord, store: Store) -> None:
    record.finished = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        _put(record, store)
    except StorageError as error:
        if record.failure is None:
            raise
        raise StorageError(f"{record.failure['message']}; nor could that be recorded: {error}") from None


def _put(record: RunRecord, store: Store) -> None:
    """Put a record; one that is no JSON, as with NaN for a score, is put as a failure without its numbers."""
    try:
        store.put(record)
    except (ValueError, TypeError) as error:
        if record.failure is None:
            _fail(record, "bug", f"the record cannot be written: {error}", _log(error))
        record.history, record.cost, record.integrity = [], {}, {}
        store.put(record)


def failure_class(error: BaseException) -> str:
    """Return the class of failure that an error stands for."""
    return _diagnose(error)[0]


def failure_of(error: BaseException) -> tuple[str, str]:
    """Return the class of failure that an error stands for, and the sentence that says why."""
    kind, cause = _diagnose(error)
    return kind, _sentence(kind, cause)


def _diagnose(error: BaseException) -> tuple[str, BaseException]:
    """Return the class that decides whether the point runs again, and the error that says why."""
    if _interrupted(error):
        return "interrupted", error
    chain = list(_chain(error))
    for cause in filter(_of_memory, chain):
        return "out_of_memory", cause
    if isinstance(error, TunesweepError):
        return error.failure, error
    for cause in filter(_of_disk, chain):
        return "storage", cause
    return "bug", error


def _interrupted(error: BaseException) -> bool:
    # In training, Lightning answers Ctrl-C with an exit, and SIGTERM with an error of its own.
    asked = error.__context__ if isinstance(error, SystemExit) else error
    by_lightning = isinstance(asked, KeyboardInterrupt) or type(asked).__name__ == "SIGTERMException"
    return by_lightning or _requeued(error)


def _requeued(error: BaseException) -> bool:
    """Whether submitit ended the point from its signal handler: the time is up, or the job is preempted."""
    frames = (frame.f_globals for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(names.get("__name__") == "submitit.core.job_environment" for names in frames)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it came from, as a traceback would show it."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _of_memory(error: BaseException) -> bool:
    text = "" if isinstance(error, TunesweepError) else str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in _MEMORY)


def _of_disk(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _DISK
    return any(int(number) in _DISK for number in _DISK_NUMBER.findall(str(error)))


def _sentence(kind: str, cause: BaseException) -> str:
    if isinstance(cause, TunesweepError):
        return str(cause)
    if kind == "interrupted":
        return _STOPPED
    reason = str(cause).strip().split("\n")[0]
    return ": ".join(filter(None, (type(cause).__name__, reason))) + _REMEDIES.get(kind, "")


def _log(error: BaseException) -> str:
    """Return the end of the traceback."""
    lines = "".join(traceback.format_exception(error)).splitlines()
    return "\n".join(lines[-LOG_LINES:])
