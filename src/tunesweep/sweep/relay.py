"""What a worker says, passed on line by line, and its last lines remembered."""

from __future__ import annotations

import sys
import threading
from collections import deque
from contextlib import suppress
from typing import IO

LOG_LINES = 30
PATIENCE_S = 1.0
# What a worker says between jobs: in the pipe it stands after all of the job before.
NEW_LOG = "\x1e"


class Relay:
    """A thread between a worker's output and our standard error."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._last = stream, deque[str](maxlen=LOG_LINES)
        self._thread = threading.Thread(target=self._pass_on, daemon=True)
        self._thread.start()

    def _pass_on(self) -> None:
        with self._stream:
            for raw in iter(self._stream.readline, b""):
                line, new_log, _ = raw.decode(errors="replace").rstrip("\r\n").partition(NEW_LOG)
                if line or not new_log:
                    self._say(line)
                if new_log:
                    self._last.clear()

    def _say(self, line: str) -> None:
        self._last.append(line)
        with suppress(OSError, ValueError):  # nobody reads it any more; the worker must not wait
            sys.stderr.write(f"{line}\n")  # one write, so that lines of several workers stay whole
            sys.stderr.flush()

    def log(self) -> str:
        """Return the last lines, once the worker has ended and all is read."""
        # A process that the worker left behind may hold its output open.
        self._thread.join(PATIENCE_S)
        return "\n".join(self._last)
