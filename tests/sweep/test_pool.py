"""Workers are real processes here; what they carry out is cheap and imports nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cloudpickle
import psutil
import pytest

from tunesweep.sweep import pool as module
from tunesweep.sweep.jobs import Job, Jobs, Loss, Referee
from tunesweep.sweep.pool import Pool

Task = Callable[[Any], Any]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.05)


def jobs_of(payloads: Sequence[Any], referee: Referee | None = None, timeout_s: float | None = None) -> Jobs:
    made = [Job(number, cloudpickle.dumps(payload), timeout_s) for number, payload in enumerate(payloads)]
    return Jobs(made, referee or Referee())


def run(task: Task, jobs: Jobs, workers: int = 1) -> Jobs:
    with Pool(cloudpickle.dumps(task), [{}] * workers) as pool:
        pool.run(jobs)
    return jobs


def test_every_job_is_answered_once_by_workers_that_stay() -> None:
    def who(number: int) -> tuple[int, int]:
        time.sleep(0.1)
        return number, os.getpid()

    jobs = run(who, jobs_of(range(6)), workers=2)
    assert [number for _, (number, _) in sorted(jobs.answers.items())] == list(range(6))
    found = {process for _, process in jobs.answers.values()}
    assert len(found) == 2
    assert os.getpid() not in found
    assert not any(psutil.pid_exists(process) for process in found)


def test_workers_of_one_pool_serve_several_launches() -> None:
    with Pool(cloudpickle.dumps(lambda _: os.getpid()), [{}]) as pool:
        launches = [jobs_of([0]), jobs_of([0])]
        for jobs in launches:
            pool.run(jobs)
    assert launches[0].answers == launches[1].answers


def test_each_worker_has_its_own_environment() -> None:
    def device(_: int) -> str | None:
        time.sleep(0.3)
        return os.environ.get("DEVICE")

    jobs = jobs_of(range(2))
    with Pool(cloudpickle.dumps(device), [{"DEVICE": "3"}, {"DEVICE": "5"}]) as pool:
        pool.run(jobs)
    assert jobs.answers == {0: "3", 1: "5"}


def test_a_killed_worker_costs_one_job_and_leaves_its_last_words(capsys: pytest.CaptureFixture[str]) -> None:
    def die(number: int) -> int:
        print(f"at work on {number}")
        if number == 1:
            print("oh", file=sys.stderr)
            os.kill(os.getpid(), signal.SIGKILL)
        return os.getpid()

    jobs = run(die, jobs_of(range(3)))
    assert set(jobs.answers) == {0, 2}
    assert jobs.answers[0] != jobs.answers[2]
    message = "its worker was ended by SIGKILL (the system does that when memory runs out)"
    assert jobs.losses == {1: Loss("lost", message, "at work on 1\noh")}
    assert capsys.readouterr().err.splitlines() == [*("at work on 0", "at work on 1", "oh", "at work on 2")]


def test_a_worker_that_exits_says_how() -> None:
    jobs = run(lambda _: os._exit(7), jobs_of([0]))
    assert jobs.losses[0].message == "its worker ended with exit status 7"


class Retries(Referee):
    def lost(self, job: Job, loss: Loss) -> bool:
        return True


def test_a_lost_job_can_be_tried_again_after_the_others(tmp_path: Path) -> None:
    trace = tmp_path / "trace"

    def once(number: int) -> int:
        first = f"{number}" not in (trace.read_text().split() if trace.exists() else [])
        with trace.open("a") as file:
            file.write(f"{number} ")
        if number == 0 and first:
            os._exit(1)
        return number

    jobs = run(once, jobs_of(range(3), Retries()))
    assert (jobs.answers, jobs.losses) == ({0: 0, 1: 1, 2: 2}, {})
    assert trace.read_text().split() == ["0", "1", "2", "0"]


def test_a_job_over_its_time_is_ended_with_its_children(tmp_path: Path) -> None:
    def hang(number: int) -> None:
        if number == 1:
            child = subprocess.Popen(["sleep", "60"])
            (tmp_path / "child").write_text(str(child.pid))
            time.sleep(60)

    jobs = [Job(0, cloudpickle.dumps(0)), Job(1, cloudpickle.dumps(1), timeout_s=3.0)]
    began = time.monotonic()
    found = run(hang, Jobs(jobs, Referee()))
    assert time.monotonic() - began < 50
    assert {number: loss.kind for number, loss in found.losses.items()} == {1: "timeout"}
    assert gone(int((tmp_path / "child").read_text()))


def gone(process: int) -> bool:
    """Whether a process ends within some seconds."""
    for _ in range(100):
        if not psutil.pid_exists(process) or psutil.Process(process).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.1)
    return False


class BusyOnce(Referee):
    """Job 0 is somebody else's for a while, and done then or not."""

    def __init__(self, done: bool) -> None:
        self.done, self.asked = done, 0

    def busy(self, job: Job) -> bool:
        self.asked += job.number == 0
        return job.number == 0 and self.asked < 8

    def settled(self, job: Job) -> bool:
        return job.number == 0 and self.done


@pytest.mark.parametrize("done", [True, False])
def test_a_busy_job_is_passed_over_and_comes_later(tmp_path: Path, done: bool) -> None:
    trace = tmp_path / "trace"

    def note(number: int) -> int:
        with trace.open("a") as file:
            file.write(f"{number} ")
        return number

    jobs = run(note, jobs_of(range(3), BusyOnce(done)))
    assert trace.read_text().split() == (["1", "2"] if done else ["1", "2", "0"])
    assert set(jobs.answers) == ({1, 2} if done else {0, 1, 2})


class RefusedOnce(Referee):
    def __init__(self) -> None:
        self.seen: list[Any] = []

    def refused(self, job: Job, answer: Any) -> bool:
        self.seen.append(answer)
        return len(self.seen) == 1


def test_a_job_that_a_worker_could_not_claim_waits_again() -> None:
    referee = RefusedOnce()
    jobs = run(lambda number: number, jobs_of(range(2), referee))
    assert referee.seen == [0, 1, 0]
    assert jobs.answers == {0: 0, 1: 1}


ORPHAN = """
import os, subprocess, sys, time
import cloudpickle
from tunesweep.sweep.jobs import Job, Jobs, Referee
from tunesweep.sweep.pool import Pool

def work(_):
    child = subprocess.Popen(["sleep", "60"])
    print("pids", os.getpid(), child.pid)
    time.sleep(60)

with Pool(cloudpickle.dumps(work), [{}]) as pool:
    pool.run(Jobs([Job(0, cloudpickle.dumps(0))], Referee()))
"""


def test_no_worker_outlives_a_parent_that_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", ORPHAN], stderr=subprocess.PIPE, text=True)
    assert parent.stderr is not None
    _, worker, child = parent.stderr.readline().split()
    parent.kill()
    parent.wait()
    parent.stderr.close()
    assert gone(int(worker))
    assert gone(int(child))


@contextmanager
def ctrl_c(*seen: Path) -> Iterator[None]:
    """Send SIGINT to this process as each file appears."""

    def send() -> None:
        for path in seen:
            while not path.exists():
                time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=send, daemon=True).start()
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_lets_a_worker_come_to_its_end(tmp_path: Path) -> None:
    def work(number: int) -> None:
        (tmp_path / f"began {number}").touch()
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            time.sleep(0.5)  # the rest of a step
            (tmp_path / "recorded").touch()
            raise

    with ctrl_c(tmp_path / "began 0"), pytest.raises(KeyboardInterrupt):
        run(work, jobs_of(range(2)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["began 0", "recorded"]


def test_a_second_ctrl_c_ends_workers_at_once(tmp_path: Path) -> None:
    def stubborn(_: int) -> None:
        (tmp_path / "worker").write_text(str(os.getpid()))
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            (tmp_path / "asked").touch()
            time.sleep(60)

    began = time.monotonic()
    with ctrl_c(tmp_path / "worker", tmp_path / "asked"), pytest.raises(KeyboardInterrupt):
        run(stubborn, jobs_of([0]))
    assert time.monotonic() - began < 50
    assert gone(int((tmp_path / "worker").read_text()))


def test_a_task_that_cannot_be_loaded_is_a_loss_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "gone_module.py").write_text(textwrap.dedent("def task(x):\n    return x\n"))
    sys.path.insert(0, str(tmp_path))
    try:
        import gone_module  # type: ignore[import-not-found]

        task = cloudpickle.dumps(gone_module.task)
    finally:
        sys.path.remove(str(tmp_path))
    jobs = jobs_of([0])
    with Pool(task, [{}]) as pool:
        pool.run(jobs)
    assert "No module named 'gone_module'" in jobs.losses[0].log
