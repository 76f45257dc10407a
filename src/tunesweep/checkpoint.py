"""What a run can be taken up again from: notes in JSON, put last, that name two files by their digests."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from tunesweep import store
from tunesweep.data.location import content_digest
from tunesweep.errors import StorageError, TunesweepError
from tunesweep.identity import digest

LAYOUT = 1  # raised when a checkpoint of before could not be read as one of now
NOTES = "checkpoint.json"


@dataclass
class Notes:
    """Where training stands, and what the record will want to know of the part that is done.

    `epoch` counts whole epochs, `within` optimiser steps of the one that is going on; when `within` is
    all of them, the select split has not been scored yet. `step` counts all optimiser steps.
    """

    run_id: str
    command: str  # who was planned by one command has one of these
    tensors: str  # names and shapes of what is trained
    layout: int = LAYOUT
    step: int = 0
    epoch: int = 0
    within: int = 0
    finished: bool = False
    resumed: list[int] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    watch: dict[str, Any] = field(default_factory=dict)  # training time, and epochs begun
    best: dict[str, Any] = field(default_factory=dict)  # which epoch so far, and its scores
    minutes: float = 0.0  # that the point has taken, with what is not training
    memory: dict[str, Any] = field(default_factory=dict)
    micro_batch: int = 0
    group: str = ""  # of the runs that are trained together, if there are several
    left: list[str] = field(default_factory=list)  # how this one left the group: class of failure, sentence
    files: dict[str, str] = field(default_factory=dict)  # name -> sha256

    @property
    def position(self) -> tuple[int, int]:
        """Return what orders checkpoints of one run."""
        return self.epoch, self.within


class Unusable(Exception):
    """A checkpoint that cannot be gone on from, and why."""


class Place:
    """The folder of a run at work; it holds one checkpoint or none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def notes(self, run_id: str) -> Notes | None:
        """Return the notes of the checkpoint, if there is one, as soon as its files are what they say."""
        path = self.folder / NOTES
        try:
            parts = json.loads(path.read_text(encoding="utf-8"))
            found = _parse(parts, run_id)
            for name, told in found.files.items():
                if content_digest(self.folder / Path(name).name) != told:
                    raise Unusable(f"{name} is not what was written")
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError, OSError, TunesweepError, Unusable) as error:
            raise Unusable(
                f"the checkpoint {path} was passed over ({error}), and the run begins anew"
            ) from None
        return found

    def state(self, notes: Notes) -> dict[str, Any]:
        """Return the tensors and plain data that go with notes."""
        import torch

        name = next(name for name in notes.files if name.endswith(".pt"))
        found: dict[str, Any] = torch.load(self.folder / name, map_location="cpu", weights_only=True)
        return found

    def write(self, notes: Notes, state: dict[str, Any] | None, best: Path | None) -> None:
        """Replace the checkpoint in one step: whoever is killed here finds the old one or the new one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        files = [] if best is None else [best]
        if state is not None:
            files.append(self._put(f"state-{notes.epoch}-{notes.within}.pt", state))
        try:
            notes.files = {path.name: content_digest(path) for path in files}
            parts = asdict(notes)
            store.write(self.folder / NOTES, json.dumps({"sha256": digest(parts), "notes": parts}, indent=1))
        except (StorageError, ValueError):
            if state is not None:
                files[-1].unlink(missing_ok=True)
            raise
        self.tidy(notes)

    def _put(self, name: str, state: dict[str, Any]) -> Path:
        import torch

        path, part = self.folder / name, self.folder / f"{name}.part"
        try:
            with part.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except (OSError, RuntimeError) as error:  # torch's writer has no error of its own
            part.unlink(missing_ok=True)
            raise StorageError(f"the checkpoint {path} cannot be written: {error}") from error
        return path

    def tidy(self, notes: Notes | None) -> None:
        """Remove what the checkpoint does not name: of an attempt that was killed, or of the one before."""
        kept = {NOTES, *notes.files} if notes else set()
        for path in self.folder.glob("*"):
            if path.name in kept:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _parse(parts: Any, run_id: str) -> Notes:
    """Return notes that are whole, of this layout and of this run."""
    if digest(parts["notes"]) != parts["sha256"]:
        raise Unusable("it was changed after it was written")
    if parts["notes"].get("layout") != LAYOUT:
        raise Unusable(f"its layout {parts['notes'].get('layout')} is not {LAYOUT}")
    known = {item.name for item in fields(Notes)}
    found = Notes(**{key: value for key, value in parts["notes"].items() if key in known})
    if found.run_id != run_id:
        raise Unusable(f"it is of run {found.run_id}")
    return found
