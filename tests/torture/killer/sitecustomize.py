"""Imported by every Python that has this folder on its path: dies by SIGKILL at the moment that is asked for.

$TORTURE_ORDER names a file that says when, for one process alone: whoever comes to the moment first takes
the file away and dies. $TORTURE_JOURNAL names a file that gets a line for every record put in place.
"""

import itertools
import json
import os
import signal
import sys
import threading
import time

ORDER, JOURNAL = os.environ.get("TORTURE_ORDER", ""), os.environ.get("TORTURE_JOURNAL", "")
WORKER = "tunesweep.sweep.worker" in " ".join(sys.orig_argv)
SAMPLE_S = 0.0005
_replace = os.replace
_renames = itertools.count(1)


def order():
    """Return what is asked of this process: a moment and how often it passes before the end."""
    try:
        with open(ORDER, encoding="utf-8") as file:  # noqa: PTH123 - as light as can be: this runs at every start
            who, moment, count = file.read().split()
    except (OSError, ValueError):
        return "", 0
    return (moment, int(count)) if (who == "worker") is WORKER else ("", 0)


def die():
    """End this process, if no other one has taken the order."""
    try:
        os.unlink(ORDER)  # noqa: PTH108
    except OSError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def replace(source, target, **named):
    """Rename, and die before or after it when that is asked for."""
    moment, count = order()
    passed = next(_renames)
    if moment == "before_rename" and passed >= count:
        die()
    _replace(source, target, **named)
    note(os.fspath(target))
    if moment == "after_rename" and passed >= count:
        die()


def note(target):
    """Write down which record was put in place, and how its run ended."""
    folder, name = os.path.split(target)
    if not folder.endswith("records") or not JOURNAL:
        return
    with open(target, encoding="utf-8") as file:  # noqa: PTH123
        status = json.load(file)["status"]
    with open(JOURNAL, "a", encoding="utf-8") as file:  # noqa: PTH123
        file.write(f"{name.removesuffix('.json')} {status}\n")


def watch():
    """Die in a backward pass: the main thread is looked at until it is in one for the n-th time."""
    main, inside, seen = threading.main_thread().ident, False, 0
    while True:
        time.sleep(SAMPLE_S)
        frame, now = sys._current_frames().get(main), False
        while frame is not None and not now:
            now = frame.f_code.co_name == "_engine_run_backward"
            frame = frame.f_back
        seen += now and not inside
        inside = now
        moment, count = order() if now else ("", 0)
        if moment == "backward" and seen >= count:
            die()


if ORDER:
    os.replace = replace
    if WORKER:
        threading.Thread(target=watch, daemon=True).start()
