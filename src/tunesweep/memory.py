"""Peak memory of one point: its own, never that of the point before (R6)."""

from __future__ import annotations

import ctypes
import gc
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from types import TracebackType

import psutil
import torch

INTERVAL_S = 0.02
SAMPLED = f"resident set, sampled every {INTERVAL_S} s"
# oneDNN and torch keep what they compile for every shape of a batch: half a gigabyte after texts of many
# lengths, which the first point would pay for all. A few serve one layer after the other nearly as fast.
KERNEL_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
KERNELS = "16"
# Parameters of mallopt(3) and their values: freed memory stays with the process until a point ends (`trim`),
# so that the next step does not have the system clear new pages for every activation.
ALLOCATOR = {-1: 2**31 - 1, -3: 2**25}  # M_TRIM_THRESHOLD; M_MMAP_THRESHOLD, 32 MiB being the most there is


@cache
def set_aside_imports() -> None:
    """Keep what was loaded so far out of every later search for garbage, which each point begins with.

    Only for a process of ours: what would become garbage later is not found any more.
    """
    gc.collect()
    gc.freeze()


class MemoryWatch:
    """Measures the peak between enter and exit, in all and as increase over what was loaded before.

    On a GPU the allocator's own peak; on a CPU the resident set, sampled, because the system's own
    maximum never falls.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.baseline = self.peak = 0
        self._stop, self._paused = threading.Event(), False

    def __enter__(self) -> MemoryWatch:
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            self.baseline = self.peak = torch.cuda.memory_allocated()
        else:
            trim()
            self.baseline = self.peak = resident()
            self._thread = threading.Thread(target=self._sample, daemon=True)
            self._thread.start()
        return self

    def _sample(self) -> None:
        while not self._stop.wait(INTERVAL_S):
            if not self._paused:
                self._look()

    def _look(self) -> None:
        cuda = self.device.type == "cuda"
        self.peak = max(self.peak, torch.cuda.max_memory_allocated() if cuda else resident())

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self.device.type != "cuda":
            self._stop.set()
            self._thread.join()
        self._look()

    @contextmanager
    def unwatched(self) -> Iterator[None]:
        """Leave out what is done within, such as reading a checkpoint."""
        self._look()
        self._paused = True
        try:
            yield
        finally:
            trim()
            if self.device.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
            self._paused = False

    def description(self) -> dict[str, int | str]:
        """Return the record's part on memory, in bytes."""
        cuda = self.device.type == "cuda"
        found: dict[str, int | str] = {
            "memory_bytes": self.peak - self.baseline,
            "peak_memory_bytes": self.peak,
            "memory_how": "peak of the CUDA allocator" if cuda else SAMPLED,
        }
        if cuda:
            found["reserved_bytes"] = torch.cuda.max_memory_reserved()
        return found


def bound_kernel_caches() -> None:
    """Let compiled kernels of one point not fill memory until the next; read at a process's first product."""
    for name in KERNEL_CACHES:
        os.environ.setdefault(name, KERNELS)


@cache
def keep_freed_memory() -> None:
    """Let the C library hold on to memory between steps, where it is the GNU one."""
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        for parameter, value in ALLOCATOR.items():
            mallopt(parameter, value)


def resident() -> int:
    """Return the bytes of this process in memory."""
    return int(psutil.Process().memory_info().rss)


def trim() -> None:
    """Give freed memory back to the system, where the C library can."""
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        return
