"""Peak memory of a sweep's worker: one run, and groups of three and of eight runs.

LoRA r 4 to 16 on MiniLM and film reviews, batches of 32, two epochs: `runtime.fuse=auto`, one worker. The
figure is the largest resident set of any process of the command, libraries, weights and checks included, as
the system counts it; medians of three. Exit 1 where three runs need one and a half times as much as one.

    python benchmarks/group_memory.py [--rounds 3] [--train 1000]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from statistics import median

from results import ROOT, keep

SIZES = {1: ("lora.r=4",), 3: ("lora.r=4,8,16",), 8: ("lora.r=4,8,12,16", "train.lr=3e-4,1e-3")}
LIMIT = 1.5  # bytes of three runs over those of one


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--train", type=int, default=1000, help="training examples")
    given = parser.parse_args()
    rounds = [{runs: peak(words, given.train) for runs, words in SIZES.items()} for _ in range(given.rounds)]
    bytes_of = {runs: round(median(each[runs] for each in rounds)) for runs in SIZES}
    ratios = {runs: round(found / bytes_of[1], 3) for runs, found in bytes_of.items()}
    keep("group_memory", {"train": given.train, "bytes": bytes_of, "ratios": ratios, "limit": LIMIT})
    sys.exit(ratios[3] >= LIMIT)


def peak(words: tuple[str, ...], train: int) -> int:
    """Return the largest resident set, in bytes, of the processes of a sweep."""
    limit = f"dataset.limit={{train: {train}, select: 100, test: 200}}"
    with tempfile.TemporaryDirectory() as store, tempfile.TemporaryFile() as output:
        place = [f"runtime.store={store}", "runtime.wandb.mode=disabled", "runtime.fuse=auto"]
        command = [sys.executable, "train.py", "-m", "method=lora", *words, limit, *place]
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)  # of it, and of those that it waited for
        if status:
            output.seek(0)
            sys.exit(f"{' '.join(command)} failed:\n{output.read().decode()}")
    return usage.ru_maxrss * 1024  # Linux counts kibibytes


if __name__ == "__main__":
    main()
