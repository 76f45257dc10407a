from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tunesweep.cli import app
from tunesweep.commands import watch
from tunesweep.record import RunRecord
from tunesweep.store import Store

PATIENCE_S = 60.0
NAMES = ("a", "b", "c")
WATCH = "from tunesweep.cli import app; app()"
SHOW_CURSOR = b"\x1b[?25h"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A sweep of three points of which one has ended."""
    found = Store(tmp_path / "multirun")
    found.put(result("a", 0.8))
    points = {name: {"name": f"method={name}"} for name in NAMES}
    found.put_sweep("s1", {"started": "2026-01-01T00:00:00+00:00", "members": list(NAMES), "points": points})
    return found


def result(name: str, score: float) -> RunRecord:
    metrics = {
        "test": {"accuracy": score, "n": 100},
        "protocol": {"metric": "accuracy", "split": "test", "chosen_on": "select"},
    }
    data = {"fingerprint": "d", "scored_ids": "i", "labels": ["x", "y"]}
    config = {"method": {"name": name}}
    return RunRecord(name, "succeeded", "s1", f"method={name}", config, metrics=metrics, data=data)


def finish(store: Store) -> None:
    for name, score in (("b", 0.9), ("c", 0.7)):
        store.put(result(name, score))


def run(*words: str):
    return CliRunner().invoke(app, ["watch", *words], env={"COLUMNS": "80"})


def test_once_prints_and_ends(store: Store) -> None:
    done = run("--once", "--store", str(store.root))
    assert done.exit_code == 0, done.output
    assert "Sweep s1: 1 of 3 ended (1 done, 2 waiting)" in " ".join(done.output.split())
    assert "0.711–0.867" in done.output  # 80 of 100, by Wilson
    assert not (store.root / "reports").exists()


def test_the_last_sweep_is_meant_or_the_one_named(store: Store) -> None:
    store.put_sweep("s0", {"started": "2025-01-01T00:00:00+00:00", "members": ["a"]})
    assert "Sweep s0 is complete" in run("s0", "--once", "--store", str(store.root)).output
    assert "Sweep s1:" in run("--once", "--store", str(store.root)).output
    wrong = run("s2", "--once", "--store", str(store.root))
    assert wrong.exit_code == 1
    assert "tunesweep: sweep s2 is not in" in wrong.output


def test_html_writes_the_page_too(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunesweep.report.live.LEAST_S", 0.0)
    run("--once", "--html", "--store", str(store.root))
    page = (store.root / "reports" / "s1.html").read_text()
    assert "Running: 1 of 3 points have ended" in page


def test_without_a_terminal_changes_are_lines_and_the_table_comes_last(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    def sleep(_: float) -> None:
        looks.append(1)
        if len(looks) == 3:
            store.put(result("b", 0.9))
        if len(looks) == 5:
            store.put(result("c", 0.7))

    monkeypatch.setattr(watch.time, "sleep", sleep)
    lines = run("--store", str(store.root)).output.splitlines()
    assert [line.split(" · ")[0] for line in lines[:2]] == [
        "Sweep s1: 1 of 3 ended (1 done, 2 waiting)",
        "Sweep s1: 2 of 3 ended (2 done, 1 waiting)",
    ]
    assert lines[2] == "Sweep s1 is complete: 3 done"
    rows = [line.split()[0] for line in lines if line.startswith("method=")]
    assert rows == ["method=b", "method=a", "method=c"]


def test_a_stopped_sweep_is_watched_no_longer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    monkeypatch.setattr(watch.time, "sleep", looks.append)
    (store.root / "reports").mkdir()
    report = store.root / "reports" / "s1.md"
    report.write_text("")
    later = report.stat().st_mtime + 1  # files that are written at once may have one time
    os.utime(report, (later, later))
    assert "Sweep s1 has been stopped: 1 done, 2 waiting" in run("--store", str(store.root)).output
    assert len(looks) == watch.QUIET - 1


class Terminal:
    """The command in a terminal of its own, 80 columns wide."""

    def __init__(self, store: Store) -> None:
        self.seen = b""
        master, slave = pty.openpty()
        environment = {**os.environ, "COLUMNS": "80", "LINES": "30", "TERM": "xterm"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", WATCH, "watch", "--store", str(store.root)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
        )
        os.close(slave)
        self.master = master

    def until(self, text: bytes) -> None:
        """Read until this has been drawn."""
        end = time.monotonic() + PATIENCE_S
        while text not in self.seen:
            assert time.monotonic() < end, self.seen.decode(errors="replace")
            self.read()

    def read(self) -> bool:
        if select.select([self.master], [], [], 0.5)[0]:
            try:
                more = os.read(self.master, 65536)
            except OSError:  # the other end is closed
                return False
            self.seen += more
            return bool(more)
        return self.process.poll() is None

    def end(self) -> int:
        """Read all that comes, and return the exit status."""
        while self.read():
            pass
        return self.process.wait(PATIENCE_S)


@pytest.fixture
def terminal(store: Store):
    found = Terminal(store)
    yield found
    found.process.kill()
    found.process.wait()
    os.close(found.master)


def test_it_draws_until_the_sweep_is_complete(store: Store, terminal: Terminal) -> None:
    terminal.until(b"1 of 3 ended")
    finish(store)
    terminal.until(b"is complete: 3 done")
    assert terminal.end() == 0
    assert terminal.seen.rstrip().endswith(SHOW_CURSOR)
    assert b"0.900" in terminal.seen


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_when_it_is_stopped_the_terminal_has_its_cursor_back(
    store: Store, terminal: Terminal, number: signal.Signals
) -> None:
    terminal.until(b"1 of 3 ended")
    terminal.process.send_signal(number)
    assert terminal.end() == 0
    assert terminal.seen.rstrip().endswith(SHOW_CURSOR)
    assert b"Traceback" not in terminal.seen


def test_it_loads_no_torch(store: Store) -> None:
    code = f"import sys\ntry:\n    {WATCH}\nfinally:\n    assert 'torch' not in sys.modules"
    command = [sys.executable, "-c", code, "watch", "--once", "--html", "--store", str(store.root)]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
