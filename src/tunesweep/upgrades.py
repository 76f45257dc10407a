"""Records of earlier versions, read as those of today: a chain of pure functions, one for each version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tunesweep.errors import StorageError

SCHEMA_VERSION = 3  # of what is written; raised by adding a step

Data = dict[str, Any]


class NewerRecord(StorageError):
    """A record that only a later tunesweep can read: never overwritten, never set aside as broken."""


def _resumed(record: Data) -> Data:
    """1 to 2: a run may have gone on from a checkpoint; earlier ones all began at their first step."""
    return record | {"resumed": [], "schema_version": 2}


def _stopped(record: Data) -> Data:
    """2 to 3: a run may have ended early; all earlier ones went to their end, or failed."""
    return record | {"stopped": "", "schema_version": 3}


STEPS: dict[int, Callable[[Data], Data]] = {
    1: _resumed,
    2: _stopped,
}  # version -> what makes the next one of it


def upgrade(record: Data) -> Data:
    """Return a record as the version of today has it; refuse one of no version, or of a later one."""
    version = record.get("schema_version")
    if type(version) is not int or version < 1:
        raise StorageError(f"schema_version={version} of a record must be 1 to {SCHEMA_VERSION}")
    if version > SCHEMA_VERSION:
        raise NewerRecord(
            f"it has schema_version={version}, this tunesweep reads up to {SCHEMA_VERSION}: update tunesweep"
        )
    for step in range(version, SCHEMA_VERSION):
        record = STEPS[step](record)
    return record
