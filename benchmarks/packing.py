"""Seconds of an epoch over instructions: batches padded in random order, padded by length, and packed.

SmolLM2-135M, LoRA r 8, Alpaca, batch 8, bf16 autocast where the machine has bf16; our trainer each time, the
three ways in turn, so that a machine that grows slower slows all. Packed batches are drawn in random order,
as those of the first way. Beside it the tokens that each way computes, and how far the losses of the first
batch differ. Exit 1 where packing is not one and a half times as fast as padding in random order.

    TUNESWEEP_DATA=FOLDER python benchmarks/packing.py [--pairs 5] [--train 64]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from results import keep, ratio

from tunesweep import door
from tunesweep.config import RunConfig
from tunesweep.data.module import DataModule
from tunesweep.device import choose_device
from tunesweep.methods.attach import attach
from tunesweep.models.backbone import build_network
from tunesweep.models.readouts import Readout
from tunesweep.models.tokenizer import load_tokenizer
from tunesweep.scoring import autocast, to_device
from tunesweep.silence import quiet_libraries
from tunesweep.tasks import build_task
from tunesweep.tasks.learner import Learner
from tunesweep.trainer import Stopwatch, build_trainer, fit

WAYS = {
    "padded": ("train.bucketing=false",),
    "by_length": (),
    "packed": ("train.bucketing=false", "runtime.packing=true"),
}
BATCH, LIMIT = 8, 1.5


def main() -> None:
    given = arguments()
    with tempfile.TemporaryDirectory() as folder, quiet_libraries():
        ways = {name: Way(point(folder, given.train, words)) for name, words in WAYS.items()}
        rounds = [one_round(ways, number) for number in range(given.pairs + 1)][1:]  # the first one warms up
    seconds = {name: [each[name] for each in rounds] for name in ways}
    by_padding = ratio(seconds["padded"], seconds["packed"])
    keep(
        "packing",
        {
            **{"examples": given.train, "batch": BATCH, "limit": LIMIT},
            **{f"seconds_{name}": median(column) for name, column in seconds.items()},
            "tokens": {name: way.tokens() for name, way in ways.items()},
            "padded_over_packed": by_padding,
            "by_length_over_packed": ratio(seconds["by_length"], seconds["packed"]),
            "losses_differ_by": abs(ways["padded"].loss() - ways["packed"].loss()),
        },
    )
    sys.exit(by_padding["ratio"] < LIMIT)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--train", type=int, default=64, help="examples of an epoch")
    return parser.parse_args()


def point(folder: str, train: int, words: tuple[str, ...]) -> RunConfig:
    door.register()
    data = ["dataset=alpaca", f"dataset.limit={{train: {train}, select: {BATCH}, test: {BATCH}}}"]
    read = ["encoding.max_length=256", "encoding.max_answer=256", f"train.batch_size={BATCH}"]
    place = [f"runtime.store={folder}", f"runtime.cache={folder}/cache", "runtime.progress=false"]
    own = ["model=smollm2_135m", "method=lora", "lora.r=8", "train.epochs=1"]
    with initialize_config_dir(str(door.conf_folder()), version_base="1.3"):
        return door.to_run_config(compose("config", overrides=[*own, *data, *read, *place, *words]))


class Way:
    """One way to put examples into batches, with data of its own."""

    def __init__(self, config: RunConfig) -> None:
        self.config, self.device = config, choose_device(config.runtime)
        self.data = DataModule(config, load_tokenizer(config.model, Path(config.runtime.cache)), "")
        self.task = build_task(config, self.data)

    def network(self) -> Readout:
        """Return the backbone with its adapter, as a run begins."""
        torch.manual_seed(0)
        built = build_network(self.config, self.data, self.device)
        attach(built, self.config)
        return built

    def seconds(self, epoch: int) -> float:
        """Return seconds of the steps of an epoch."""
        self.data.batches.epoch = epoch  # all ways see an order of the same number
        learner, watch = Learner(self.network(), self.config, self.data, self.task), Stopwatch()
        accumulation = self.data.batches.accumulation
        fit(build_trainer(self.config, self.device, [watch], accumulation, self.task), learner, self.data)
        return watch.seconds

    def tokens(self) -> int:
        """Return the tokens that the layers see in the first epoch, padding included."""
        self.data.batches.epoch = 0
        lengths, packed = self.data.batches.lengths, self.config.runtime.packing
        sizes = (lengths[batch] for batch in self.data.batches)
        return int(sum(size.sum() if packed else size.max() * len(size) for size in sizes))

    def loss(self) -> float:
        """Return the mean loss of the first batch, before training."""
        self.data.batches.epoch = 0
        network = self.network().eval()
        batch = to_device(next(iter(self.data.train_dataloader())), network)
        with torch.no_grad(), autocast(self.device, self.config.train.precision):
            return float(self.task.losses(network, batch).sum() / self.task.terms(batch).sum())


def one_round(ways: dict[str, Way], number: int) -> dict[str, Any]:
    """Return seconds of each way; every second round in the opposite order."""
    order = list(ways) if number % 2 == 0 else list(ways)[::-1]
    return {name: ways[name].seconds(number) for name in order}


if __name__ == "__main__":
    main()
