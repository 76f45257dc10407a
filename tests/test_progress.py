"""Progress: bars on a terminal, a line an epoch elsewhere, nothing when not wanted."""

from __future__ import annotations

import math
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tunesweep.config import Point, RuntimeConfig
from tunesweep.point import run
from tunesweep.progress import say_result, say_resumed, title
from tunesweep.record import RunRecord
from workplace import DIGITS

LOGISTIC = ("model=logistic", *DIGITS, "dataset.limit.train=200", "dataset.limit.test=60", "train.epochs=3")
NAME = "lora.target_modules=[query,value] seed=0"
RATES = ("1e-3", "1e30")  # of one point that succeeds, and one that diverges
SCRIPT = """
import sys
sys.path[:0] = [{tests!r}]
from conftest import ROOT
from hydra import compose, initialize_config_dir
from tunesweep import door
from tunesweep.point import run
for rate in {rates!r}:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = door.to_run_config(compose("config", overrides=[*{overrides!r}, f"train.lr={{rate}}"]))
    point = config.runtime.point
    point.index, point.total, point.name = 2, 3, {name!r}
    print(run(config).status, flush=True)
    print("{cut}", file=sys.stderr, flush=True)
"""
CUT = "-- the next point --"


def test_a_point_says_which_of_how_many_it_is():
    assert title(Point(name="seed=1", index=2, total=6)) == "[2/6] seed=1"
    assert title(Point(name="seed=1")) == "seed=1"
    assert title(Point(name="encoding.joiner='\n'")) == "encoding.joiner='\\n'"


def test_elsewhere_there_is_a_line_an_epoch(make_config, capfd):
    config = make_config(*LOGISTIC, "runtime.progress=true")
    config.runtime.point.name, config.runtime.point.index, config.runtime.point.total = NAME, 1, 2
    record = run(config)
    captured = capfd.readouterr()
    assert captured.out == ""
    expected = [
        f"[1/2] {NAME}: epoch {e['epoch']} of 3, train loss {e['train_loss']:.3f}, "
        f"select accuracy {e['accuracy']:.3f}"
        for e in record.history
    ]
    begins, *epochs, scoring, result = captured.err.splitlines()
    assert begins == f"[1/2] {NAME}: trains {3 * math.ceil(200 / config.train.batch_size)} steps in 3 epochs"
    assert scoring == f"[1/2] {NAME}: trained; scoring and checking it"
    assert epochs == expected
    assert result.startswith(f"[1/2] {NAME}: accuracy {record.main_metric:.3f} on test, all checks passed")


@pytest.mark.parametrize(("total", "why"), [(1, ""), (3, ": too fast")])
def test_why_a_single_point_failed_is_left_to_the_table(total, why, capfd):
    runtime = RuntimeConfig(progress=True)
    runtime.point.index, runtime.point.total, runtime.point.name = 1, total, NAME
    record = RunRecord("r", "failed", "s", NAME, {}, failure={"class": "diverged", "message": "too fast"})
    say_result(record, runtime)
    assert capfd.readouterr().err == f"[1/{total}] {NAME}: failed, diverged{why}\n"


def test_nothing_is_printed_when_not_wanted(make_config, capfd):
    assert run(make_config(*LOGISTIC)).status == "succeeded"
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def on_a_terminal(tmp_path: Path) -> tuple[list[str], list[str]]:
    """Run both points before a terminal, with a pipe for output; return what each showed and printed."""
    overrides = [*LOGISTIC, f"runtime.store={tmp_path}", "runtime.wandb.mode=disabled", "runtime.threads=1"]
    tests = str(Path(__file__).parent)
    script = SCRIPT.format(tests=tests, overrides=overrides, name=NAME, rates=RATES, cut=CUT)
    terminal, end = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "160"}
    command = [sys.executable, "-W", "ignore", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=end, env=environment, text=True) as process:
        os.close(end)
        shown = "".join(chunks(terminal))
        assert process.stdout is not None
        printed = process.stdout.read()
    os.close(terminal)
    return shown.split(CUT)[:-1], printed.split()


def chunks(terminal: int) -> Any:
    """Yield what is written until the other end closes, which Linux reports as an error."""
    while True:
        try:
            block = os.read(terminal, 4096)
        except OSError:
            return
        if not block:
            return
        yield block.decode(errors="replace")


@pytest.mark.slow
def test_on_a_terminal_bars_come_and_go(tmp_path):
    parts, printed = on_a_terminal(tmp_path)
    assert printed == ["succeeded", "failed"]  # and no bar in the pipe
    for shown in parts:
        plain = without_escapes(shown)
        assert f"[2/3] {NAME}" in plain  # brackets and all
        assert "sweep" in plain
        assert "1/3" in plain
        assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") > 0  # the cursor is back
        rest = shown.rpartition("\x1b[2K")[2]  # the bars are erased, and a line says what came of it
        assert rest.startswith(f"[2/3] {NAME}: ")
    assert "failed, diverged: the loss is not finite" in parts[1]
    assert re.search(r"train loss \d\.\d{3}, select accuracy 0\.\d{3}", without_escapes(parts[0]))


def without_escapes(shown: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)


def test_a_run_that_does_not_begin_anew_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    runtime = RuntimeConfig(cache="c", point=Point(name="seed=0", index=2, total=3))
    say_resumed(runtime, 24)
    say_resumed(RuntimeConfig(cache="c", progress=False), 24)
    assert capsys.readouterr().err == "[2/3] seed=0: goes on after step 24\n"
