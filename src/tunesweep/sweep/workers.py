"""The parent's end of a worker process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe

from tunesweep.sweep.jobs import Job
from tunesweep.sweep.relay import Relay
from tunesweep.sweep.worker import FAREWELL

PATIENCE_S = 10.0
KILLED = " (the system does that when memory runs out)"


class Worker:
    """A process of its own group that carries out one job at a time.

    `shown` lets it write to the terminal itself, where it can draw bars; nothing is remembered then.
    """

    def __init__(self, task: bytes, environment: Mapping[str, str], shown: bool = False) -> None:
        self.job: Job | None = None
        self.channel, theirs = Pipe()
        self.process = _start(theirs, environment, shown)
        theirs.close()
        self._relay = Relay(self.process.stdout) if self.process.stdout else None
        self._send(task)

    def give(self, job: Job) -> None:
        """Hand out a job; that the worker is gone is noticed when its answer is awaited."""
        self.job, self._since = job, time.monotonic()
        self._send(job.payload)

    def _send(self, message: bytes) -> None:
        with suppress(OSError):
            self.channel.send_bytes(message)

    @property
    def alive(self) -> bool:
        """Whether the process is there."""
        return self.process.poll() is None

    @property
    def overdue(self) -> bool:
        """Whether its job takes longer than is allowed."""
        limit = self.job.timeout_s if self.job else None
        return limit is not None and time.monotonic() - self._since > limit

    def ask_to_stop(self) -> None:
        """Let it come to the end of its step and record that it was interrupted."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)

    def dismiss(self) -> None:
        """Say that there is no more to do; one at work is ended."""
        self._send(FAREWELL) if self.job is None else self.kill()

    def end(self) -> str:
        """Wait for its end, which a worker that does not come to it is helped to; say how it was."""
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()
        status = self.process.wait()
        self.kill()  # what it may have left behind
        self.channel.close()
        self.log()  # all that it said is read
        return _ending(status)

    def kill(self) -> None:
        """End it at once, with all processes that it started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def log(self) -> str:
        """Return the last lines that it wrote while at its job."""
        return self._relay.log() if self._relay else ""


def _start(channel: Connection, environment: Mapping[str, str], shown: bool) -> subprocess.Popen[bytes]:
    """Start a fresh interpreter that finds the modules that this one finds."""
    # Python's own "" is the folder we are in. With -P nothing comes before these.
    places = os.pathsep.join(place or str(os.getcwd()) for place in sys.path)  # noqa: PTH109
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "tunesweep.sweep.worker", str(channel.fileno())],
        stdin=subprocess.DEVNULL,
        stdout=2 if shown else subprocess.PIPE,  # standard output is the table's
        stderr=None if shown else subprocess.STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": places, **environment},
        pass_fds=[channel.fileno()],
        process_group=0,  # Ctrl-C in a terminal reaches the parent alone
    )


def _ending(status: int) -> str:
    if status >= 0:
        return f"its worker ended with exit status {status}"
    name = signal.Signals(-status).name
    return f"its worker was ended by {name}{KILLED if -status == signal.SIGKILL else ''}"
