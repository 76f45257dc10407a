"""Whether what finished runs left on disk is still what they wrote: no torch, and no digest from memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from tunesweep.data.location import content_digest
from tunesweep.errors import BadConfig, TunesweepError, suggest_run
from tunesweep.record import RunRecord
from tunesweep.report.rows import find_sweep
from tunesweep.store import Store

AGAIN = "the same command with runtime.force=true trains it again"


@dataclass(frozen=True)
class Verdict:
    """What was looked at, and a sentence for everything that is wrong."""

    runs: int
    files: int
    problems: list[str]


def verify(store: Store, run_ids: Sequence[str] = (), everything: bool = False) -> Verdict:
    """Compare the files of finished runs with their records: of these ids, of all, or of the last sweep."""
    runs = chosen(store, run_ids, everything)
    found = [problem for record in runs for problem in problems(store, record)]
    files = sum(len(_files(record)) for record in runs)
    return Verdict(len(runs), files, [*store.problems, *found])


def chosen(store: Store, run_ids: Sequence[str], everything: bool) -> list[RunRecord]:
    """Return the finished runs among these ids, in the whole store, or in the last sweep."""
    if run_ids and everything:
        raise BadConfig(f"--all and {' '.join(run_ids)} exclude each other: give one of them")
    if run_ids:
        return [_named(store, run_id) for run_id in run_ids]
    if everything:
        return [record for record in store.records() if record.succeeded]
    found = (store.get(run_id) for run_id in find_sweep(store)[1]["members"])
    return [record for record in found if record and record.succeeded]


def _named(store: Store, run_id: str) -> RunRecord:
    record = store.get(run_id)
    if record and record.succeeded:
        return record
    finished = [other.run_id for other in store.records() if other.succeeded]
    state = f"{record.shortfall} and keeps no files" if record else f"has no readable record in {store.root}"
    raise BadConfig(f"run {run_id} {state}: {suggest_run(run_id, finished)}")


def _files(record: RunRecord) -> dict[str, str]:
    files = record.integrity.get("files")
    return {str(path): str(digest) for path, digest in files.items()} if isinstance(files, dict) else {}


def _leaves(path: object) -> bool:
    """Whether a path of a record, which anybody may have written, leads out of the store."""
    return not isinstance(path, str) or PurePath(path).is_absolute() or ".." in PurePath(path).parts


def problems(store: Store, record: RunRecord, below: str = "") -> Iterator[str]:
    """Yield a sentence for each file, or whole artefact, that is gone or changed; of one folder if named."""
    files = {path: digest for path, digest in _files(record).items() if _within(path, below)}
    if not files:
        yield f"run {record.run_id} names no files to compare with: {AGAIN}"
    if odd := [path for path in (*files, *record.artefacts.values()) if _leaves(path)]:
        yield f"run {record.run_id} names {odd[0]!r}, which is no path below {store.root}: {AGAIN}"
        return
    wanted = {kind: path for kind, path in record.artefacts.items() if _within(path, below)}
    gone = {kind: path for kind, path in wanted.items() if not (store.root / path).exists()}
    for kind, path in gone.items():
        yield f"the {kind} of run {record.run_id} is gone: {store.root / path} does not exist; {AGAIN}"
    for path, digest in files.items():
        if not any(PurePath(path).is_relative_to(whole) for whole in gone.values()):
            yield from _compare(store, record, path, digest)


def _within(path: str, folder: str) -> bool:
    return not folder or PurePath(path).is_relative_to(folder)


def _compare(store: Store, record: RunRecord, path: str, digest: str) -> Iterator[str]:
    file = store.root / path
    if not file.is_file():
        yield f"a file of run {record.run_id} is gone: {file} does not exist; {AGAIN}"
        return
    try:
        if content_digest(file) != digest:
            yield f"{file} of run {record.run_id} has other content than when it was written; {AGAIN}"
    except TunesweepError as error:
        yield f"a file of run {record.run_id} cannot be compared: {error}"
