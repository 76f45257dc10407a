"""How much of the machine a training step uses: its operations a second against the fastest that it does.

The fastest matrix product and copy are measured; the operations of a step are those that PyTorch counts
(every multiplication and addition of matrix products, forwards and backwards). MiniLM, LoRA r 8 on query and
value, a batch of 32 texts, bf16 autocast where the machine has bf16, a bare loop: what a step leaves unused
is not the trainer's doing.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from results import keep
from step import CPU, network, point
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from tunesweep.data.module import DataModule
from tunesweep.hardware import native_precision
from tunesweep.models.tokenizer import load_tokenizer
from tunesweep.scoring import autocast, to_device
from tunesweep.silence import quiet_libraries

REPEATS = 15
SIZES = (384, 1024, 2048)  # of square matrices: the smallest is the width of the model
COPIED = 2**28  # bytes: more than caches hold
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
PRECISION = native_precision(DEVICE.type)
DTYPES = {"fp32": (torch.float32,), "bf16": (torch.float32, torch.bfloat16)}  # emulated, bf16 takes minutes


def main() -> None:
    products = {
        f"{str(dtype).removeprefix('torch.')}_{size}": product_rate(size, dtype)
        for dtype in DTYPES[PRECISION]
        for size in SIZES
    }
    seconds, operations = step()
    best = max(products.values())
    found = {"products_per_s": products, "copied_bytes_per_s": copy_rate()}
    found |= {"step_seconds": seconds, "step_operations": operations}
    keep("roofline", found | {"achieved_per_s": operations / seconds, "share": operations / seconds / best})


def product_rate(size: int, dtype: torch.dtype) -> float:
    """Return operations a second of a product of two square matrices, 2 n^3 each."""
    left, right = (torch.randn(size, size, device=DEVICE).to(dtype) for _ in range(2))
    return 2 * size**3 / fastest(lambda: left @ right)


def copy_rate() -> float:
    """Return bytes a second, those read and those written."""
    source = torch.zeros(COPIED // 4, device=DEVICE)
    target = torch.empty_like(source)
    return 2 * COPIED / fastest(lambda: target.copy_(source))


def fastest(work: Callable[[], object]) -> float:
    """Return the median of its seconds, warmed up."""
    work()
    return median(clocked(work) for _ in range(REPEATS))


def clocked(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def step() -> tuple[float, int]:
    """Return seconds and operations of a training step."""
    with tempfile.TemporaryDirectory() as folder, quiet_libraries():
        config = point(folder)
        data = DataModule(config, load_tokenizer(config.model, Path(config.runtime.cache)), "")
        model = network(config, data).to(DEVICE).train()
        batch = to_device(next(iter(data.train_dataloader())), model)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=1e-4)

        def once() -> None:
            with autocast(DEVICE if DEVICE.type == "cuda" else CPU, PRECISION):
                loss = cross_entropy(model(batch).float(), batch["labels"])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

        with FlopCounterMode(display=False) as counter:
            once()
        return fastest(once), counter.get_total_flops()


if __name__ == "__main__":
    main()
