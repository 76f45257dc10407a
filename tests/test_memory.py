"""Peak memory is a point's own (R6)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress

import pytest
import torch

from tunesweep.memory import KERNEL_CACHES, KERNELS, MemoryWatch, bound_kernel_caches, resident

CPU = torch.device("cpu")
MB = 1_000_000


def hold(size: int) -> None:
    """Touch that many bytes, long enough to be seen, and let them go."""
    block = torch.ones(size, dtype=torch.uint8)
    time.sleep(0.3)  # on a busy machine, who watches may wait for its turn
    del block


def watched(size: int) -> dict[str, int | str]:
    with MemoryWatch(CPU) as watch:
        hold(size)
    return watch.description()


def test_a_peak_belongs_to_its_own_watch():
    watched(0)  # what other tests have left behind is let go of here
    first, second = watched(300 * MB), watched(0)
    assert int(first["memory_bytes"]) == pytest.approx(300 * MB, rel=0.1)
    assert int(second["memory_bytes"]) < 20 * MB
    assert int(second["peak_memory_bytes"]) < int(first["peak_memory_bytes"]) - 200 * MB


def test_a_peak_between_two_looks_of_the_end_is_seen():
    with MemoryWatch(CPU) as watch:
        hold(200 * MB)
        after = resident()
    assert watch.peak > after + 100 * MB


def test_the_baseline_is_what_was_loaded_before():
    watched(0)  # see above
    loaded = torch.ones(200 * MB, dtype=torch.uint8)
    found = watched(50 * MB)
    assert int(found["memory_bytes"]) == pytest.approx(50 * MB, rel=0.3)
    assert int(found["peak_memory_bytes"]) > len(loaded)
    assert "resident set" in str(found["memory_how"])
    assert "reserved_bytes" not in found


def test_a_watch_ends_with_an_error_too():
    watch = MemoryWatch(CPU)
    with suppress(RuntimeError), watch:
        raise RuntimeError
    assert not watch._thread.is_alive()


def test_caches_of_kernels_are_bounded_unless_the_user_says_otherwise(monkeypatch):
    monkeypatch.setenv(KERNEL_CACHES[0], "300")
    monkeypatch.delenv(KERNEL_CACHES[1], raising=False)
    bound_kernel_caches()
    assert [os.environ[name] for name in KERNEL_CACHES] == ["300", KERNELS]


PRODUCTS = """
import sys, torch
from tunesweep.memory import bound_kernel_caches, resident, trim
if sys.argv[1] == "bounded":
    bound_kernel_caches()
def products(lengths):
    layer = torch.nn.Linear(384, 384, dtype=torch.bfloat16)
    for n in lengths:
        layer(torch.ones(n, 384, dtype=torch.bfloat16)).sum().backward()
    trim()
    return resident()
start = products(range(1, 3))
print(products(range(3, 300)) - start)
"""


def growth(mode: str) -> int:
    """Return the bytes that products of 300 shapes leave behind in a process of their own."""
    environment = {key: value for key, value in os.environ.items() if key not in KERNEL_CACHES}
    command = [sys.executable, "-W", "ignore", "-c", PRODUCTS, mode]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)


@pytest.mark.slow
@pytest.mark.skipif(not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="no 16-bit products on this CPU")
def test_texts_of_many_lengths_do_not_fill_memory_for_the_next_point():
    assert growth("bounded") < 15 * MB < 30 * MB < growth("free")
