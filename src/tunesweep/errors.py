"""What can go wrong, by class: the class decides what a sweep does next (R3)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

SHOWN = 20  # runs that a sentence lists
OFTEN_CALLED = {  # by transformers and PEFT, and what that is here
    "learning_rate": "lr",
    "num_train_epochs": "epochs",
    "num_epochs": "epochs",
    "per_device_train_batch_size": "batch_size",
    "rank": "r",
    "lora_alpha": "alpha",
    "max_seq_length": "max_length",
}


class TunesweepError(Exception):
    """One clear sentence: the value, what was expected, what to do."""

    failure = "bug"


class BadConfig(TunesweepError):
    """The configuration cannot be carried out, whatever the data."""

    failure = "bad_config"


class BadData(TunesweepError):
    """The data set cannot be read as it was described."""

    failure = "bad_data"


class IntegrityError(TunesweepError):
    """A number was produced that must not be believed (R9-R13, R16)."""

    failure = "integrity"


class Diverged(TunesweepError):
    """The loss is not a finite number any more."""

    failure = "diverged"


class Interrupted(TunesweepError):
    """Training was stopped by the user or the batch system, after a step."""

    failure = "interrupted"


class TimedOut(TunesweepError):
    """Training took longer than it was allowed."""

    failure = "timeout"


class EarlyExit(TunesweepError):
    """A run ends early, by choice: others of its group did better. It has not failed."""

    failure = "early exit"


class StorageError(TunesweepError):
    """The store or the cache cannot be written or read."""

    failure = "storage"


class SweepFailed(TunesweepError):
    """Some points of a sweep failed: raised once, after the table (R5)."""

    failure = "sweep"


def suggest(value: object, options: Iterable[object]) -> str:
    """Return the options as text, and the nearest one when there is one."""
    names = ["null" if option is None else str(option) for option in options]
    known = OFTEN_CALLED.get(str(value))
    near = [known] if known in names else difflib.get_close_matches(str(value), names, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"one of {', '.join(names)}{hint}"


def suggest_run(run_id: str, runs: Sequence[str]) -> str:
    """Return which runs of a store may be meant, of many the nearest; or that another store may be."""
    if not runs:
        return "name another store by --store FOLDER"
    near, of = runs, ""
    if len(runs) > SHOWN:
        near, of = difflib.get_close_matches(run_id, runs, n=SHOWN, cutoff=0), f"{len(runs):,} runs, such as "
    return f"choose one of {of}{', '.join(near)}, or name another store by --store FOLDER"


def require(value: object, options: Iterable[object], key: str) -> None:
    """Refuse a value that is not among the options."""
    options = list(options)
    if value not in options:
        raise BadConfig(f"{key}={value} is not an option: choose {suggest(value, options)}")
