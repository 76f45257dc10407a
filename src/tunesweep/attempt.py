"""A point is attempted: whatever happens becomes a record (R3)."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Callable
from datetime import UTC, datetime

from tunesweep.config import RunConfig
from tunesweep.errors import TunesweepError
from tunesweep.record import RunRecord, draft
from tunesweep.store import Store

LOG_LINES = 30
_DISK = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT)


def attempt(config: RunConfig, store: Store, work: Callable[[RunRecord], None]) -> RunRecord:
    """Do the work, which fills the record, and put the record into the store, last of all."""
    record = draft(config)
    try:
        work(record)
        record.status = "succeeded"
    except KeyboardInterrupt:
        _fail(record, "interrupted", "stopped by the user; the same command runs it again")
        _finish(record, store)
        raise
    except Exception as error:
        _fail(record, failure_class(error), _sentence(error))
        assert record.failure is not None
        record.failure["log"] = "".join(traceback.format_exception(error)[-LOG_LINES:])
    _finish(record, store)
    return record


def _fail(record: RunRecord, kind: str, message: str) -> None:
    record.status, record.metrics = "failed", {}
    record.failure = {"class": kind, "message": message, "log": ""}


def _finish(record: RunRecord, store: Store) -> None:
    record.finished = datetime.now(UTC).isoformat(timespec="seconds")
    store.put(record)


def failure_class(error: BaseException) -> str:
    """Return the class that decides whether the point runs again."""
    if isinstance(error, TunesweepError):
        return error.failure
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower() or "allocate memory" in str(error):
        return "out_of_memory"
    if isinstance(error, OSError) and error.errno in _DISK:
        return "storage"
    return "bug"


def _sentence(error: BaseException) -> str:
    text = str(error).strip()
    return text if isinstance(error, TunesweepError) else f"{type(error).__name__}: {text.split(chr(10))[0]}"
