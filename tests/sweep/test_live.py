"""The page of a sweep while it runs: the sweep is real, its points are stubs that wait for the page."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from command_line import CommandLine, succeed
from tunesweep.config import RunConfig
from tunesweep.record import RunRecord
from tunesweep.report import live as pages
from tunesweep.sweep import live

RANKS = ("lora.r=2,4,8",)
PATIENCE_S = 20.0


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the thread run, quickly, beside points in this process: a stub cannot run elsewhere."""
    monkeypatch.setattr(live, "IN_PROCESS", "nowhere")
    monkeypatch.setattr(live, "trains_here", lambda: False)  # other tests have loaded torch
    monkeypatch.setattr(live, "POLL_S", 0.02)
    monkeypatch.setattr(pages, "LEAST_S", 0.0)
    monkeypatch.setattr(pages, "SHARE", 0)


def until(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.02)
    return False


def page_of(command: CommandLine) -> str:
    found = [path.read_text() for path in (command.store.root / "reports").glob("*.html")]
    return found[0] if found else ""


@pytest.mark.usefixtures("beside")
def test_the_page_is_written_anew_while_the_sweep_runs(command: CommandLine) -> None:
    seen: list[bool] = []

    def watched(config: RunConfig) -> RunRecord:
        said = f"Running: {len(seen)} of 3 points have ended"
        seen.append(until(lambda: said in page_of(command)))
        return succeed(config)

    command.task = watched
    out = command(*RANKS)
    assert (out.status, seen) == (0, [True] * 3)
    assert f"its page, while it runs: {command.store.root}/reports/" in out.errors
    last = page_of(command)
    assert "Running:" not in last
    assert "data-reload=" not in last


@pytest.mark.usefixtures("beside")
def test_a_page_that_cannot_be_written_costs_no_result_and_is_said_once(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def broken(self: pages.LivePage) -> bool:
        tried.append(1)
        raise RuntimeError("no page")

    def slow(config: RunConfig) -> RunRecord:
        before = len(tried)
        assert until(lambda: len(tried) > before)
        return succeed(config)

    monkeypatch.setattr(pages.LivePage, "refresh", broken)
    command.task = slow
    out = command(*RANKS)
    assert (out.status, len(out.ran)) == (0, 3)
    assert out.errors.count("the page cannot be written while the sweep runs (no page)") == 1


@pytest.mark.usefixtures("beside")
@pytest.mark.parametrize("words", [("runtime.progress=false",), ()])
def test_it_is_switched_off_with_the_progress_and_where_nothing_is_to_do(
    command: CommandLine, words: tuple[str, ...]
) -> None:
    if not words:
        command(*RANKS, "runtime.progress=false")
    out = command(*RANKS, *words)
    assert (out.status, "while it runs" in out.errors) == (0, False)


def test_points_in_this_process_have_no_thread_beside_them(command: CommandLine) -> None:
    assert "while it runs" not in command(*RANKS).errors


@pytest.mark.usefixtures("beside")
def test_the_thread_ends_when_points_train_in_this_process_after_all(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(live, "trains_here", lambda: bool(asked.append(1) or len(asked) > 1))

    def slow(config: RunConfig) -> RunRecord:
        assert until(lambda: len(asked) > 1)
        return succeed(config)

    command.task = slow
    out = command(*RANKS)
    assert (out.status, len(asked)) == (0, 2)
    assert out.errors.count("points train in this process: tunesweep watch --html") == 1


@pytest.mark.usefixtures("beside")
def test_ctrl_c_ends_the_thread_and_leaves_the_last_page(command: CommandLine) -> None:
    def interrupt(config: RunConfig) -> RunRecord:
        if config.lora.r == 4:
            assert until(lambda: "Running: 1 of 3" in page_of(command))
            raise KeyboardInterrupt
        return succeed(config)

    command.task = interrupt
    assert command(*RANKS).status == 130
    assert "Running:" not in page_of(command)


@pytest.mark.usefixtures("beside")
def test_a_search_has_its_page_too(command: CommandLine) -> None:
    pytest.importorskip("optuna")
    seen: list[bool] = []

    def watched(config: RunConfig) -> RunRecord:
        seen.append(until(lambda: "of 3 points have ended" in page_of(command)))
        return succeed(config)

    command.task = watched
    out = command("search=optuna", "search.trials=3", "train.lr=interval(1e-5,1e-3)")
    assert (out.status, seen) == (0, [True] * 3), out.said
    assert out.errors.count("its page, while it runs") == 1
