"""Seconds per optimiser step with compiled layers and without, and after how many steps compiling has paid.

MiniLM, LoRA r 8 on query and value, batch 32, bf16 autocast where the machine has bf16, a bare loop. The
first epoch of the compiled network compiles; then epochs of both alternate on the same batches. Figures are
medians.

    python benchmarks/compiled.py [--pairs 5]
"""

from __future__ import annotations

import argparse
import tempfile
from math import ceil
from pathlib import Path
from statistics import median

import torch
from results import keep, ratio
from step import BATCH, STEPS, bare_epoch, network, point

from tunesweep.data.module import DataModule
from tunesweep.device import choose_device
from tunesweep.models.compiled import compiled
from tunesweep.models.tokenizer import load_tokenizer
from tunesweep.silence import quiet_libraries


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--pairs", type=int, default=5)
    pairs = parser.parse_args().pairs
    with tempfile.TemporaryDirectory() as folder, quiet_libraries():
        config = point(folder)
        data = DataModule(config, load_tokenizer(config.model, Path(config.runtime.cache)), "")
        plain, fast = (network(config, data).to(choose_device(config.runtime)).train() for _ in range(2))
        with compiled(fast, wanted=True):
            first, before = bare_epoch(fast, config, data, 0), bare_epoch(plain, config, data, 0)
            rounds = [
                (bare_epoch(plain, config, data, epoch), bare_epoch(fast, config, data, epoch))
                for epoch in range(1, pairs + 1)
            ]
    slow, quick = ([seconds / STEPS for seconds in column] for column in zip(*rounds, strict=True))
    saved, compiling = median(slow) - median(quick), first - before
    keep(
        "compiled",
        {
            **{"batch": BATCH, "steps": STEPS, "seconds_compiling": compiling, "torch": torch.__version__},
            **{"seconds_plain": median(slow), "seconds_compiled": median(quick), **ratio(slow, quick)},
            "steps_until_it_pays": ceil(compiling / saved) if saved > 0 else None,
        },
    )


if __name__ == "__main__":
    main()
