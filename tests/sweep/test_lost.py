"""Jobs that raise, and launchers that die or say nothing: each point has a record all the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hydra.core.utils import JobReturn
from three_ranks import NAMES, RANKS

import hydra_plugins.tunesweep._sweep as plugin
from command_line import CommandLine, succeed
from tunesweep.config import RunConfig
from tunesweep.record import RunRecord

Words = Sequence[Sequence[str]]


class Bad:
    """Hydra's own launcher, of which only some jobs come to something."""

    def __init__(self, inner: Any, jobs: slice, error: Exception | None) -> None:
        self.inner, self.jobs, self.error = inner, jobs, error

    def launch(self, words: Words, initial_job_idx: int) -> Sequence[JobReturn]:
        returns: Sequence[JobReturn] = self.inner.launch(words[self.jobs], initial_job_idx)
        if self.error:
            raise self.error
        return returns


@pytest.fixture
def break_launcher(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the launcher carry out these jobs alone, and then raise or say nothing of the others."""
    original = plugin._launcher

    def set_up(jobs: slice, error: Exception | None = None) -> None:
        monkeypatch.setattr(plugin, "_launcher", lambda *given: Bad(original(*given), jobs, error))

    return set_up


def classes(command: CommandLine) -> dict[str, str]:
    """Return the class of failure, or the status, of every record."""
    found = command.store.records()
    return {record.name: (record.failure or {}).get("class", record.status) for record in found}


def test_a_job_that_raises_leaves_a_lost_record(command: CommandLine) -> None:
    def die(config: RunConfig) -> RunRecord:
        if config.lora.r == 4:
            raise RuntimeError("no device left")
        return succeed(config)

    command.task = die
    out = command(*RANKS)
    assert classes(command) == {"lora.r=2": "succeeded", "lora.r=4": "lost", "lora.r=8": "succeeded"}
    assert (out.status, "lora.r=4: lost: no device left" in out.said) == (1, True)


def test_a_forced_job_that_raises_does_not_keep_the_old_success(command: CommandLine) -> None:
    def die(config: RunConfig) -> RunRecord:
        raise RuntimeError("no device left")

    command("lora.r=4")
    command.task = die
    assert command("lora.r=4", "runtime.force=true").status == 1
    assert classes(command) == {"lora.r=4": "lost"}


def test_a_launcher_that_says_nothing_of_a_job_leaves_a_lost_record(
    command: CommandLine, break_launcher: Callable[..., None]
) -> None:
    break_launcher(slice(2))
    out = command(*RANKS)
    assert classes(command) == {"lora.r=2": "succeeded", "lora.r=4": "succeeded", "lora.r=8": "lost"}
    assert (out.status, "lora.r=8: lost: the launcher returned" in out.said) == (1, True)


def test_an_error_is_not_put_down_to_another_job_where_one_is_missing(
    command: CommandLine, break_launcher: Callable[..., None]
) -> None:
    def die(config: RunConfig) -> RunRecord:
        if config.lora.r == 8:
            raise RuntimeError("no device left")
        return succeed(config)

    command.task = die
    break_launcher(slice(1, None))
    command(*RANKS)
    assert classes(command) == {"lora.r=2": "lost", "lora.r=4": "succeeded", "lora.r=8": "lost"}


def test_a_launcher_that_dies_keeps_what_was_finished(
    command: CommandLine, break_launcher: Callable[..., None]
) -> None:
    break_launcher(slice(1), error=RuntimeError("a worker was killed"))
    out = command(*RANKS)
    assert classes(command) == {"lora.r=2": "succeeded", "lora.r=4": "lost", "lora.r=8": "lost"}
    assert "lora.r=8: lost: the launcher ended with RuntimeError: a worker was killed" in out.said
    rows = [line for line in out.output.splitlines() if line.startswith("lora ")]
    assert (out.status, len(rows)) == (1, 3)


def test_ctrl_c_keeps_what_was_finished_and_shows_it(command: CommandLine) -> None:
    def interrupt(config: RunConfig) -> RunRecord:
        if config.lora.r == 4:
            raise KeyboardInterrupt
        return succeed(config)

    command.task = interrupt
    out = command(*RANKS)
    assert (out.names, out.status) == (NAMES[:2], 130)
    assert "stopped: what was finished is kept" in out.errors
    assert out.output.count("succeeded") == 1
    command.task = succeed
    assert command(*RANKS).names == NAMES[1:]
