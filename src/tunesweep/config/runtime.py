"""The group `runtime`: never part of a point's identity."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from importlib.util import find_spec

from omegaconf import MISSING

from tunesweep.config.checks import positive
from tunesweep.errors import BadConfig, require

WORKER = "worker"  # the executor of our own launcher
LOGITS_AT_ONCE = 1 << 24  # over a vocabulary, of which more are computed in parts: 64 MiB in 32 bits


@dataclass
class WandbConfig:
    """Where a run is mirrored to."""

    mode: str = "offline"  # offline, online, disabled
    project: str = "tunesweep"  # of W&B
    entity: str | None = None  # of W&B: user or team

    def __post_init__(self) -> None:
        require(self.mode, ("offline", "online", "disabled"), "runtime.wandb.mode")


@dataclass
class Point:
    """What planning found out about a point; set by the planning sweeper, never by hand."""

    run_id: str = ""
    sweep_id: str = ""
    model_fingerprint: str = ""
    data_fingerprint: str = ""
    name: str = ""  # the point in the words of its command
    command: str = ""  # stands for the command that planned it: a forced run resumes that of its own only
    index: int = 0
    total: int = 1
    uses_lora: bool = True  # the method takes its rank
    executor: str = "in process"  # what carries the run out: worker, or the launcher that was chosen
    folder: str = ""  # where the command was given: its paths are relative to that, wherever a point runs
    lr_by_hand: bool = False  # train.lr was given, not the method's own
    minutes: float | None = None  # that planning expects it to take
    memory_bytes: int | None = None  # that planning expects training to take above what is loaded
    own_bytes: int | None = None  # of that, what no run of a group shares: gradients, moments, a copy


@dataclass
class RuntimeConfig:
    """Where and how a point is carried out: never part of its identity."""

    store: str = "multirun"  # folder of records, predictions and adapters
    cache: str = MISSING  # folder of converted weights and token ids
    device: str = "auto"  # auto, cpu, cuda
    workers: int | None = None  # points side by side; null: one for each GPU, one on a CPU
    threads: int | None = None  # of each worker; null: the cores divided by the workers
    fuse: str = "never"  # points trained in one pass: auto, never, or how many at most
    early_exit: int | None = None  # of a group, one of so many goes on at each rung; null: all of them
    probe_steps: int = 3  # of each fused run alone, to measure what it costs; 0: its costs are dashes
    stop_after: int | None = 5  # failures of one class in a row, then no further point starts; null: never
    strategy: str = "single"  # single process; or several for one point: ddp, fsdp2 (weights are sharded)
    devices: int = 1  # processes that train a point together, each with a GPU of its own or a part of the CPU
    micro_batch: int | None = None  # examples per forward; null: the whole batch
    eval_batch_size: int = 64  # examples per forward in scoring, at most
    gradient_checkpointing: bool = False  # compute layers twice, and keep less in memory
    packing: bool = False  # decoders that write: a batch's texts in one row, unpadded
    attention: str = "auto"  # eager on a CPU, flash_attention_2 or sdpa on a GPU
    compile: bool = False  # layers by torch.compile: training waits a minute for it, and is faster afterwards
    kernels: str = "standard"  # or liger: fused norms, rotations and feed-forward layers for a GPU (Triton)
    keep: str = "adapter"  # metrics (with predictions); adapter: and trained weights, not a full model's; all
    force: bool = False  # run again what is finished
    checkpoint_minutes: float = 5  # a run that is killed loses no more; 0: after every step
    timeout_minutes: float | None = None  # of one attempt; the same command goes on from its checkpoint
    extends: str | None = None  # id of a sweep whose members belong to this one, too (tunesweep extend)
    progress: bool = True  # lines and bars while a run goes on
    wandb: WandbConfig = field(default_factory=WandbConfig)
    point: Point = field(default_factory=Point)

    def __post_init__(self) -> None:
        positive("runtime", workers=self.workers, threads=self.threads, micro_batch=self.micro_batch)
        positive("runtime", eval_batch_size=self.eval_batch_size, stop_after=self.stop_after)
        positive("runtime", timeout_minutes=self.timeout_minutes, devices=self.devices)
        if not 0 <= self.checkpoint_minutes < math.inf:
            raise BadConfig(
                f"runtime.checkpoint_minutes={self.checkpoint_minutes} must not be negative, and finite"
            )
        if self.fuse not in ("auto", "never") and not (self.fuse.isdigit() and int(self.fuse) > 1):
            raise BadConfig(f"runtime.fuse={self.fuse} must be auto, never, or a number of runs from 2")
        if self.early_exit is not None and self.early_exit < 2:
            raise BadConfig(f"runtime.early_exit={self.early_exit} must be 2 or more: one of so many goes on")
        if self.early_exit is not None and self.fuse == "never":
            raise BadConfig(
                f"runtime.early_exit={self.early_exit} is for runs that are trained in one pass: "
                "set runtime.fuse=auto, or use search=halving"
            )
        if self.probe_steps < 0:
            raise BadConfig(f"runtime.probe_steps={self.probe_steps} must not be negative")
        require(self.device, ("auto", "cpu", "cuda"), "runtime.device")
        require(self.strategy, ("single", "ddp", "fsdp2"), "runtime.strategy")
        if (self.strategy == "single") != (self.devices == 1):
            raise BadConfig(
                f"runtime.devices={self.devices} does not go with runtime.strategy={self.strategy}: "
                "single has one, ddp and fsdp2 have two or more"
            )
        if self.compile and self.strategy != "single":
            raise BadConfig(f"runtime.compile=true goes with runtime.strategy=single, not {self.strategy}")
        require(self.keep, ("metrics", "adapter", "all"), "runtime.keep")
        attentions = ("auto", "eager", "sdpa", "flash_attention_2")
        require(self.attention, attentions, "runtime.attention")
        if self.packing and self.attention in ("eager", "sdpa"):
            raise BadConfig(
                f"runtime.packing=true has an attention of its own, which is not {self.attention}: leave "
                "runtime.attention at auto, or at flash_attention_2"
            )
        require(self.kernels, ("standard", "liger"), "runtime.kernels")
        if self.kernels == "liger" and find_spec("liger_kernel") is None:
            raise BadConfig("runtime.kernels=liger needs a package: pip install 'tunesweep[kernels]'")
