"""How a point can fail, as data: what each class is, and whether trying again can help."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FailureClass:
    """A class of failures and what a sweep does about it.

    `retries` is how often a point is tried again within one command; `again` says whether the same
    command, given later, runs it again; `brakes` whether many of these in a row stop a sweep.
    """

    meaning: str
    retries: int = 0
    again: bool = True
    brakes: bool = True


CLASSES = {
    "out_of_memory": FailureClass("no memory, even for one example at a time"),
    "diverged": FailureClass("the loss is not a finite number any more"),
    "bad_data": FailureClass("the data set cannot be read as described"),
    "bad_config": FailureClass("the configuration cannot be carried out"),
    "integrity": FailureClass("a number was produced that must not be believed", again=False),
    "storage": FailureClass("store or cache cannot be written or read"),
    "lost": FailureClass("its process ended without a word", retries=1),
    "timeout": FailureClass("it took longer than runtime.timeout_minutes"),
    "interrupted": FailureClass("stopped by the user or the batch system", brakes=False),
    "bug": FailureClass("an error that nobody foresaw"),
    "source failed": FailureClass("the run from which it starts has no result", brakes=False),
    "not started": FailureClass("too many failures in a row came before it", brakes=False),
}
NEVER_HELPS = frozenset({"bad_config", "bad_data", "integrity"})  # would fail in the same way
SOURCE_FAILED = "source failed"
NOT_STARTED = "not started"
CONSEQUENCES = frozenset({SOURCE_FAILED, NOT_STARTED})  # of failures of other points
UNDECIDED = frozenset({"interrupted", "lost"}) | CONSEQUENCES  # the point itself had no chance to end
