"""Seconds per optimiser step of our trainer against a bare PyTorch loop on the same batches and kernels.

MiniLM, LoRA r 8 on query and value, batch 32, bf16 autocast where the machine has bf16. Pairs of epochs
alternate, so that a machine that grows slower slows both; the figure is the ratio of the medians. Exit 1
above the limit.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
from hydra import compose, initialize_config_dir
from results import keep, ratio
from torch.nn.functional import cross_entropy
from transformers import get_scheduler

from tunesweep import door
from tunesweep.config import RunConfig
from tunesweep.data.module import DataModule
from tunesweep.methods.attach import attach
from tunesweep.models.backbone import build_network
from tunesweep.models.readouts import Readout
from tunesweep.models.tokenizer import load_tokenizer
from tunesweep.scoring import autocast, device_of, to_device
from tunesweep.silence import quiet_libraries
from tunesweep.tasks import build_task
from tunesweep.tasks.learner import Learner
from tunesweep.trainer import Stopwatch, build_trainer, fit

PAIRS, STEPS, BATCH = 5, 24, 32
LIMIT = 1.15  # our seconds per step over those of the bare loop
CPU = torch.device("cpu")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, quiet_libraries():
        config = point(folder)
        data = DataModule(config, load_tokenizer(config.model, Path(config.runtime.cache)), "")
        pairs = [one_pair(config, data, epoch) for epoch in range(PAIRS + 1)][1:]  # the first one warms up
    ours, bare = zip(*pairs, strict=True)
    seconds = {"seconds_ours": median(ours), "seconds_bare": median(bare)}
    found = {"batch": BATCH, "steps": STEPS, **seconds, **ratio(ours, bare), "limit": LIMIT}
    keep("step", found)
    sys.exit(found["ratio"] > LIMIT)


def point(folder: str) -> RunConfig:
    door.register()
    options = [f"dataset.limit={{train: {STEPS * BATCH}, select: 32, test: 32}}", f"train.batch_size={BATCH}"]
    place = [f"runtime.store={folder}", f"runtime.cache={folder}/cache", "runtime.progress=false"]
    with initialize_config_dir(str(door.conf_folder()), version_base="1.3"):
        cfg = compose("config", overrides=["method=lora", "lora.r=8", "train.epochs=1", *options, *place])
    return door.to_run_config(cfg)


def one_pair(config: RunConfig, data: DataModule, epoch: int) -> tuple[float, float]:
    """Return seconds per step of ours and of the bare loop; every second pair begins with the latter."""
    runners = (ours, bare) if epoch % 2 else (bare, ours)
    seconds = {}
    for runner in runners:
        data.batches.epoch = epoch  # both see the same batches in the same order
        seconds[runner] = runner(config, data) / STEPS
    return seconds[ours], seconds[bare]


def network(config: RunConfig, data: DataModule) -> Readout:
    torch.manual_seed(0)
    built = build_network(config, data, CPU)
    attach(built, config)
    return built


def ours(config: RunConfig, data: DataModule) -> float:
    task, watch = build_task(config, data), Stopwatch()
    learner = Learner(network(config, data), config, data, task)
    fit(build_trainer(config, CPU, [watch], data.batches.accumulation, task), learner, data)
    return watch.seconds


def bare(config: RunConfig, data: DataModule) -> float:
    return bare_epoch(network(config, data).train(), config, data)


def bare_epoch(model: Readout, config: RunConfig, data: DataModule, epoch: int | None = None) -> float:
    """Return the seconds of an epoch, the one whose turn it is unless another is named."""
    if epoch is not None:
        data.batches.epoch = epoch
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=float(config.train.lr or 0))
    schedule = get_scheduler("linear", optimizer, 0, STEPS)
    began = time.perf_counter()
    device = device_of(model)
    for batch in (to_device(each, model) for each in data.train_dataloader()):
        with autocast(device, config.train.precision):
            loss = cross_entropy(model(batch).float(), batch["labels"])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, float(config.train.clip or 0))
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
