"""One of the processes that train a point together: `python -m tunesweep.parallel.member FOLDER`."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from omegaconf import OmegaConf
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.strategies import DDPStrategy, ModelParallelStrategy, Strategy

from tunesweep import door, stages
from tunesweep.attempt import failure_of
from tunesweep.memory import MemoryWatch
from tunesweep.parallel import files
from tunesweep.parallel.batches import RankBatches
from tunesweep.parallel.learner import JointLearner, ShardedLearner
from tunesweep.progress import progress_callbacks
from tunesweep.record import draft
from tunesweep.silence import quiet_libraries
from tunesweep.store import Store
from tunesweep.trainer import BestOnSelect, Stopwatch, build_trainer, fit

LEARNERS = {"ddp": JointLearner, "fsdp2": ShardedLearner}


class BestOfAll(BestOnSelect):
    """All processes see the same scores, gather the weights together, and the first one writes them."""

    def _save(self, state: dict[str, torch.Tensor], path: Path) -> None:
        if _rank() == 0:
            super()._save(state, path)


def main(folder: Path) -> None:
    """Train, and tell how it went; whatever happens is told before the process ends."""
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    rank = _rank()
    try:
        with quiet_libraries(), _quiet_about_processes():
            told = train(folder, rank)
    except BaseException as error:
        kind, message = failure_of(error)
        log = "".join(traceback.format_exception(error))
        files.put(
            folder, files.failure(rank), {"time": time.time(), "class": kind, "message": message, "log": log}
        )
        sys.exit(1)
    files.put(folder, files.result(rank), told)


@contextmanager
def _quiet_about_processes() -> Iterator[None]:
    """Drop what Lightning says of processes: every one of them scores all of the select split."""
    logging.getLogger("lightning_fabric.utilities.distributed").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="It is recommended to use `self.log")
        yield


def _rank() -> int:
    return int(os.environ["LOCAL_RANK"])


def _end_with_the_parent() -> None:
    """The pipe that the point's own process holds closes when that process dies, however it does."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


def train(folder: Path, rank: int) -> dict[str, Any]:
    """Build what the point's own process has built, train it with the others, and return the history."""
    config = door.to_run_config(OmegaConf.create(files.get(folder, files.JOB)))
    runtime = config.runtime
    if torch.cuda.is_available() and runtime.device != "cpu":
        torch.cuda.set_device(rank)
    work = stages.Workplace(config, Store(runtime.store), draft(config))
    stages.prepare(work)
    stages.load_data(work)
    stages.load_network(work)
    work.data.batches = RankBatches(work.data.batches, rank, runtime.devices)
    watch, best = Stopwatch(), BestOfAll(work.task.monitor, folder)
    callbacks: list[Callback] = [watch, best, *(progress_callbacks(runtime) if rank == 0 else [])]
    learner = LEARNERS[runtime.strategy](work.network, config, work.data, work.task)
    memory = MemoryWatch(work.device)
    trainer = joint_trainer(work, callbacks)
    with memory:
        fit(trainer, learner, work.data)
    described = memory.description()
    return {"history": learner.history, "best": best.state(), "watch": watch.state(), "memory": described}


def joint_trainer(work: stages.Workplace, callbacks: list[Callback]) -> pl.Trainer:
    """Return a trainer of as many processes as the point has: they are there already."""
    return build_trainer(
        work.config,
        work.device,
        callbacks,
        work.data.batches.accumulation,
        work.task,
        devices=work.config.runtime.devices,
        strategy=_strategy(work.config.runtime.strategy, work.config.runtime.devices),
        plugins=[LightningEnvironment()],  # also inside a Slurm job, which Lightning would recognise
    )


def _strategy(name: str, devices: int) -> Strategy:
    if name == "ddp":
        # A readout may leave a trained weight out of a step, such as a pooler's.
        return DDPStrategy(find_unused_parameters=True)
    return ModelParallelStrategy(data_parallel_size=devices, tensor_parallel_size=1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
