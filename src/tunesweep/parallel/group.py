"""Starts the processes that train a point together, waits for them, and takes over what they trained."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import load_file

from tunesweep import headroom
from tunesweep.checkpoint import Notes
from tunesweep.errors import BadConfig, Interrupted, TimedOut, TunesweepError
from tunesweep.methods.artefact import restore
from tunesweep.parallel import files

if TYPE_CHECKING:
    from tunesweep.stages import Workplace

POLL_S, GRACE_S = 0.2, 5.0  # the first to fail is asked why, and may need a moment to write it down
ANEW = "; a point of several processes has no checkpoint, and the same command begins it anew"


class GroupFailed(TunesweepError):
    """One of the processes failed; the class of its failure is that of the point's."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.failure = kind


def learn(work: Workplace) -> Notes:
    """Train in processes of their own, and have the best epoch's weights here."""
    devices, work.kept = work.config.runtime.devices, None  # nor is one taken up that one process left
    _check_devices(work)
    folder = work.folder / "group"
    files.put(folder, files.JOB, _divided(work))
    work.network.to("cpu")  # the first process needs the device
    headroom.release()
    with _processes(folder, devices) as running:
        try:
            _wait(running, folder, work)
        except KeyboardInterrupt:
            raise Interrupted(f"stopped{ANEW}") from None
    told = [files.get(folder, files.result(rank)) for rank in range(devices)]
    restore(work.network, load_file(str(folder / f"best-{told[0]['best']['epoch']}.safetensors")))
    work.network.to(work.device)
    first = {key: told[0][key] for key in ("history", "best", "watch")}
    return Notes(work.run_id, "", "", memory=_memory([part["memory"] for part in told]), **first)


def _check_devices(work: Workplace) -> None:
    import torch

    wanted = work.config.runtime.devices
    if work.device.type == "cuda" and torch.cuda.device_count() < wanted:
        raise BadConfig(
            f"runtime.devices={wanted}, and torch sees {torch.cuda.device_count()} GPUs here: "
            "lower it, or use runtime.device=cpu"
        )


def _divided(work: Workplace) -> dict[str, Any]:
    """Return the point's configuration with each process's part of a CPU's threads."""
    parts, runtime = asdict(work.config), work.config.runtime
    if work.device.type == "cpu":
        threads = runtime.threads or len(os.sched_getaffinity(0))
        parts["runtime"]["threads"] = max(1, threads // runtime.devices)
    return parts


@contextmanager
def _processes(folder: Path, count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start the processes; none of them outlives the block, nor this process."""
    command = [sys.executable, "-m", "tunesweep.parallel.member", str(folder.absolute())]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "WORLD_SIZE": str(count)}
    quiet = {"TORCH_CPP_LOG_LEVEL": "ERROR"}  # of weights that a step left out, or did not
    with ExitStack() as stack:
        started = []
        for rank in range(count):
            own = {"RANK": str(rank), "LOCAL_RANK": str(rank), "NODE_RANK": "0"}
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                env={**os.environ, **quiet, **place, **own},
                start_new_session=True,
            )
            stack.callback(_end, process)
            started.append(process)
        yield started


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    assert process.stdin
    process.stdin.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        return int(opened.getsockname()[1])


def _wait(running: list[subprocess.Popen[bytes]], folder: Path, work: Workplace) -> None:
    minutes = work.config.runtime.timeout_minutes
    while any(process.poll() is None for process in running):
        if any(process.poll() for process in running):
            break
        if minutes is not None and time.perf_counter() - work.began > minutes * 60:
            raise TimedOut(f"it took longer than runtime.timeout_minutes={minutes}{ANEW}")
        time.sleep(POLL_S)
    if any(process.poll() for process in running):
        raise _failure(running, folder)


def _failure(running: list[subprocess.Popen[bytes]], folder: Path) -> GroupFailed:
    """Return what the first process to fail says; the others lose their connection to it."""
    until = time.monotonic() + GRACE_S
    while time.monotonic() < until and any(process.poll() is None for process in running):
        time.sleep(POLL_S)
    names = [files.failure(rank) for rank in range(len(running))]
    told: list[dict[str, Any]] = [files.get(folder, name) for name in names if (folder / name).exists()]
    if not told:
        status = next(process.returncode for process in running if process.returncode)
        return GroupFailed("lost", f"a process of the point ended with status {status} and said nothing")
    first = min(told, key=lambda said: float(said["time"]))
    error = GroupFailed(first["class"], first["message"])
    error.add_note(first["log"])
    return error


def _memory(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the memory of the process that took most."""
    most = max(parts, key=lambda part: int(part["memory_bytes"]))
    return most | {"memory_how": f"{most['memory_how']}; the largest of {len(parts)} processes"}
