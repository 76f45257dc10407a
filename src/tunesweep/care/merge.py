"""`tunesweep import`: take over the runs and sweeps of another store, each whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from tunesweep import locks
from tunesweep.care import foreign
from tunesweep.care.foreign import Refused
from tunesweep.errors import BadConfig, StorageError
from tunesweep.record import RunRecord
from tunesweep.store import Store


@dataclass
class Merged:
    """Which runs and sweeps came, which were here already, and a sentence for all else."""

    runs: list[str] = field(default_factory=list)
    sweeps: list[str] = field(default_factory=list)
    known: int = 0
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def merge(store: Store, other: Path) -> Merged:
    """Import what another store has: a result beats a failure, and what is here stays otherwise."""
    _check_places(store.root, other)
    done = Merged()
    for run_id in foreign.names(other, "records"):
        try:
            _import_run(store, other, _given(run_id), done)
        except StorageError as error:
            done.problems.append(str(error))
    for sweep_id in foreign.names(other, "sweeps"):
        try:
            _import_sweep(store, other, _given(sweep_id), done)
        except StorageError as error:
            done.problems.append(str(error))
    return done


def _check_places(ours: Path, other: Path) -> None:
    if not (other / "records").is_dir():
        raise StorageError(f"{other} holds no runs: name the folder of a store, which has a folder records/")
    one, two = ours.resolve(), other.resolve()
    if one.is_relative_to(two) or two.is_relative_to(one):
        raise BadConfig(f"{other} and {ours} lie in one another: name two stores")


def _given(name: str | Refused) -> str:
    if isinstance(name, Refused):
        raise name
    return name


def _import_run(store: Store, other: Path, run_id: str, done: Merged) -> None:
    """Import a run, unless what is here already is as good, while nobody carries it out."""
    theirs = foreign.record(other, run_id)
    lock = store.path("locks", run_id)
    lock.parent.mkdir(parents=True, exist_ok=True)
    with locks.free(lock, make=True) as mine:
        if not mine:
            raise Refused(f"run {run_id} is going on here, or nobody can tell: import again when it is done")
        ours = store.get(run_id)
        if ours is not None and (ours.succeeded or not theirs.succeeded):
            _note_kept(ours, theirs, done)
            return
        _take(store, other, theirs)
    done.runs.append(run_id)
    model = theirs.config.get("model")
    if isinstance(model, dict) and model.get("trust_remote_code"):
        done.notes.append(
            f"run {run_id} has model.trust_remote_code=true: loading it again runs code of its model"
        )


def _note_kept(ours: RunRecord, theirs: RunRecord, done: Merged) -> None:
    done.known += 1
    if theirs.succeeded and ours.metrics != theirs.metrics:
        done.notes.append(
            f"run {ours.run_id} has other scores there ({theirs.main_metric}) than here "
            f"({ours.main_metric}): ours is kept"
        )


def _take(store: Store, other: Path, theirs: RunRecord) -> None:
    """Copy files into a folder beside their place, compare them, move them there; the record comes last."""
    work = store.path("work", theirs.run_id)
    try:
        work.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=work.parent, prefix=f".{work.name}-", suffix=".part") as folder:
            new = Path(folder)
            for path, digest in foreign.files(theirs).items():
                foreign.fetch(other, path, digest, new / path)
            for place in theirs.artefacts.values() if theirs.succeeded else []:
                _move(new / place, store.root / place)
    except OSError as error:
        raise StorageError(f"run {theirs.run_id} cannot be imported: {error.strerror or error}") from None
    store.put(theirs)


def _move(new: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir() and not place.is_symlink():  # of an attempt that failed
        shutil.rmtree(place)
    new.replace(place)


def _import_sweep(store: Store, other: Path, sweep_id: str, done: Merged) -> None:
    theirs = foreign.sweep(other, sweep_id)
    ours = store.get_sweep(sweep_id)
    if ours is None:
        store.put_sweep(sweep_id, theirs)
        done.sweeps.append(sweep_id)
    elif set(ours["members"]) != set(theirs["members"]):
        done.notes.append(f"sweep {sweep_id} has other members there than here: ours is kept")
