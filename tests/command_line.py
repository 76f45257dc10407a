"""The command line in this process: all of planning is real, only the training of a point is a stub."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.singleton import Singleton
from hydra.types import RunMode
from omegaconf import DictConfig

from tunesweep import door, train
from tunesweep.config import RunConfig
from tunesweep.record import RunRecord, draft
from tunesweep.store import Store

METRICS = {
    "test": {"accuracy": 0.75, "confusion": [[3, 1], [1, 3]]},
    "protocol": {"metric": "accuracy", "split": "test", "chosen_on": "select"},
}


def succeed(config: RunConfig) -> RunRecord:
    """Return the record of a point that went well."""
    record = draft(config)
    record.status, record.metrics = "succeeded", METRICS
    record.data = {"labels": ["a", "b"]}
    return record


def fail(config: RunConfig, kind: str = "diverged") -> RunRecord:
    """Return the record of a point that failed."""
    record = draft(config)
    record.status, record.failure = "failed", {"class": kind, "message": "it broke", "log": ""}
    return record


@dataclass
class Outcome:
    """What a command came to."""

    status: int = 0
    said: str = ""  # the sentence it ended with, if any
    output: str = ""
    errors: str = ""
    ran: list[RunConfig] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Return the points that were carried out, in the words of the command."""
        return [config.runtime.point.name for config in self.ran]


class CommandLine:
    """Call it with words; `task` says what becomes of a point."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.store = Store(folder / "store")
        self.task: Callable[[RunConfig], RunRecord | None] = succeed
        self.place = [f"runtime.store={self.store.root}", "runtime.wandb.mode=disabled"]
        self.full_error = ""
        self._patch = monkeypatch
        monkeypatch.chdir(folder)
        monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)

    def __call__(self, *words: str) -> Outcome:
        outcome = Outcome()
        # In this process, unless a test chooses otherwise: a stub would not reach a worker.
        launcher = [] if any(w.startswith("hydra/launcher=") for w in words) else ["hydra/launcher=basic"]
        self._patch.setattr(sys, "argv", ["train.py", *words, *self.place, *launcher])
        self._patch.setattr(train, "train", self._job(outcome))
        # Hydra composes everything once more to learn what `main` has said to it with a word of its own.
        self._patch.setattr(Hydra, "get_mode", lambda *_, **__: RunMode.MULTIRUN)
        self._patch.setenv("HYDRA_FULL_ERROR", self.full_error)
        self._patch.setenv("COLUMNS", "100")
        with _captured(outcome), _hydra_restored():
            try:
                train.main()
            except SystemExit as end:
                outcome.status = end.code if isinstance(end.code, int) else int(end.code is not None)
                outcome.said = end.code if isinstance(end.code, str) else ""
        return outcome

    def _job(self, outcome: Outcome) -> Callable[[DictConfig], float | None]:
        def job(cfg: DictConfig) -> float | None:
            config = door.to_run_config(cfg)
            outcome.ran.append(config)
            if record := self.task(config):
                self.store.put(record)
            return record and record.main_metric

        return job


@contextmanager
def _captured(outcome: Outcome) -> Iterator[None]:
    output, errors = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(output), redirect_stderr(errors):
            yield
    finally:
        outcome.output, outcome.errors = output.getvalue(), errors.getvalue()


@contextmanager
def _hydra_restored() -> Iterator[None]:
    root, state = logging.getLogger(), deepcopy(Singleton.get_state())
    handlers, level = list(root.handlers), root.level
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        Singleton.set_state(state)
        root.handlers[:] = handlers
        root.setLevel(level)
