"""A worker process: takes jobs from its parent one by one, answers each, and never outlives the parent.

What it unpickles comes over a socket that only the parent holds, never from a file or another machine.
"""

from __future__ import annotations

import atexit
import os
import pickle
import signal
import sys
import threading
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import NoReturn

import cloudpickle

from tunesweep.stopping import Stop
from tunesweep.sweep.relay import NEW_LOG

FAREWELL = b""
INTERRUPTED = 130


def main() -> None:
    """Serve the channel that the command line names until the parent says farewell."""
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent passes Ctrl-C on, as SIGTERM
    Stop.aloud = False  # the parent has said so
    channel, inbox = Connection(int(sys.argv[1])), SimpleQueue[bytes]()
    threading.Thread(target=_listen, args=(channel, inbox), daemon=True).start()
    try:
        _work(channel, inbox)
    except KeyboardInterrupt:  # what was going on is recorded
        sys.exit(INTERRUPTED)
    _leave()


def _work(channel: Connection, inbox: SimpleQueue[bytes]) -> None:
    carry_out = pickle.loads(inbox.get())
    while payload := inbox.get():
        if not sys.stdout.isatty():  # a terminal is written to directly, and remembers nothing
            print(NEW_LOG, flush=True)
        channel.send_bytes(cloudpickle.dumps(carry_out(pickle.loads(payload))))


def _leave() -> NoReturn:
    """End, and let the system free at once what Python would take apart for seconds."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _listen(channel: Connection, inbox: SimpleQueue[bytes]) -> None:
    """Pass on what the parent sends; when it is gone, even by kill -9, nothing here goes on."""
    try:
        while True:
            inbox.put(channel.recv_bytes())
    except (EOFError, OSError):
        os.killpg(0, signal.SIGKILL)  # with whatever processes this one has started


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
