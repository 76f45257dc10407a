"""`tunesweep gc`: remove what no readable record needs, while nobody is carrying the run out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePath

from tunesweep import locks
from tunesweep.care import tree, waste
from tunesweep.care.waste import Waste
from tunesweep.errors import StorageError, require
from tunesweep.record import RunRecord
from tunesweep.store import NAME, SUFFIXES, Store
from tunesweep.upgrades import NewerRecord

KEEPS = ("metrics", "adapter")


class _UnknownRecord(StorageError):
    """What a run needs is not known."""


@dataclass(frozen=True)
class _Wish:
    dry_run: bool
    checkpoints: bool
    keep: str | None
    sources: frozenset[str]  # keep their weights whatever `keep` says


@dataclass
class Collected:
    """What was removed, or would be; what was left alone, and why; what could not be removed."""

    removed: list[Waste] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Return the bytes in all."""
        return sum(item.size for item in self.removed)


def collect(
    store: Store, *, dry_run: bool = False, checkpoints: bool = False, keep: str | None = None
) -> Collected:
    """Remove what no readable record needs; `keep` lowers what finished runs keep of their weights.

    A dry run changes nothing. Links are neither followed nor removed.
    """
    if keep is not None:
        require(keep, KEEPS, "--keep")
    if not (store.root / "records").is_dir():
        raise StorageError(f"{store.root} holds no runs: name another store with --store FOLDER")
    wish = _Wish(dry_run, checkpoints, keep, frozenset(sources(store) if keep else ()))
    done = Collected()
    _note_links(store, done)
    for run_id in _runs(store):
        _collect_run(store, run_id, wish, done)
    _remove(waste.leftovers(store), wish, done)
    return done


def sources(store: Store) -> set[str]:
    """Return the runs from whose weights others start: without them these cannot be verified or made."""
    configs = [record.config for record in store.records()]
    if store.problems:
        raise StorageError(f"which weights are needed is not known: {store.problems[0]}")
    for sweep_id in store.sweeps():
        points = (store.get_sweep(sweep_id) or {}).get("points", {})
        configs += [point.get("config") for point in points.values()]
    models = [config.get("model") for config in configs if isinstance(config, dict)]
    return {str(model.get("init_from")) for model in models if isinstance(model, dict)}


def lower(record: RunRecord, keep: str) -> RunRecord:
    """Return a finished run's record as it would be, had it kept less of its weights."""
    whole = record.config.get("method", {}).get("trains") == ".*"
    folder = record.artefacts.get("adapter")
    if not record.succeeded or folder is None or (keep == "adapter" and not whole):
        return record
    files = record.integrity.get("files", {})
    left = {path: d for path, d in files.items() if not PurePath(path).is_relative_to(folder)}
    artefacts = {kind: path for kind, path in record.artefacts.items() if kind != "adapter"}
    return replace(record, artefacts=artefacts, integrity=record.integrity | {"files": left})


def _runs(store: Store) -> list[str]:
    """Return every run of which something lies in the store."""
    found = set()
    for kind in ("work", "predictions", "adapters", "exports", "locks"):
        names = (path.name.removesuffix(SUFFIXES[kind]) for path in tree.entries(store.root / kind))
        found |= {name for name in names if NAME.fullmatch(name)}
    return sorted(found)


def _collect_run(store: Store, run_id: str, wish: _Wish, done: Collected) -> None:
    """Look at a run, and remove, while holding it: nobody begins it meanwhile."""
    lock = store.path("locks", run_id)
    known = tree.is_ours(lock)
    if not wish.dry_run:
        lock.parent.mkdir(exist_ok=True)
    with locks.free(lock, make=not wish.dry_run) as mine:
        if not mine:
            done.notes.append(f"run {run_id} is going on, or nobody can tell: left alone")
            return
        try:
            _remove(list(_of_run(store, run_id, wish)), wish, done)
        except _UnknownRecord as error:
            done.notes.append(f"run {run_id} is left alone: {error}")
        except StorageError as error:  # that it keeps less could not be written
            done.problems.append(str(error))
        left = done if known else Collected()  # a file made to hold the run is not worth naming
        _remove([Waste(lock, "nobody holds it", 0)] if tree.is_ours(lock) else [], wish, left)


def _of_run(store: Store, run_id: str, wish: _Wish) -> Iterator[Waste]:
    """Yield what may go of a run; its record says first that it keeps less."""
    try:
        record = store.get(run_id)
    except NewerRecord as error:
        raise _UnknownRecord(str(error)) from None
    if record is None and store.path("records", run_id).exists():
        raise _UnknownRecord("its record cannot be read, and may be repaired")
    if record is not None and wish.keep and run_id not in wish.sources:
        less = lower(record, wish.keep)
        if less is not record and not wish.dry_run:
            store.put(less)
        record = less
    yield from waste.of_run(store, run_id, record, wish.checkpoints)


def _remove(items: Iterable[Waste], wish: _Wish, done: Collected) -> None:
    for item in items:
        try:
            if not wish.dry_run:
                tree.remove(item.path)
            done.removed.append(item)
        except OSError as error:
            done.problems.append(f"{item.path} cannot be removed ({error.strerror or error})")


def _note_links(store: Store, done: Collected) -> None:
    for kind in SUFFIXES:
        done.notes += [f"{path} is a link: left alone" for path in tree.links(store.root / kind)]
