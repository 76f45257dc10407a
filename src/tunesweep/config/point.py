"""One point, and the whole command."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import II, MISSING

from tunesweep.config.dataset import DatasetConfig
from tunesweep.config.method import LoraConfig, MethodConfig
from tunesweep.config.model import ModelConfig
from tunesweep.config.readout import ReadoutConfig
from tunesweep.config.runtime import RuntimeConfig
from tunesweep.config.train import TrainConfig
from tunesweep.errors import BadConfig


@dataclass
class Seeds:
    """Where chance enters: new weights, order of the data, choice of the splits."""

    init: int = II("seed")  # new weights, adapter, dropout
    data: int = II("seed")  # order of the data, choice of solved examples
    split: int = 0  # which rows stand in which split

    def __post_init__(self) -> None:
        for key, value in vars(self).items():
            if isinstance(value, int) and not 0 <= value < 2**32:
                raise BadConfig(f"seeds.{key}={value} must be a whole number from 0 to {2**32 - 1}")


@dataclass
class RunConfig:
    """One point: everything `run()` needs to know.

    The groups without a default are MISSING, not built: their checks hold for chosen values only.
    """

    model: ModelConfig = MISSING
    method: MethodConfig = MISSING
    lora: LoraConfig = MISSING
    dataset: DatasetConfig = MISSING
    encoding: dict[str, Any] = field(default_factory=dict)  # the group `encoding`: each kind has its own keys
    readout: ReadoutConfig = MISSING
    train: TrainConfig = field(default_factory=TrainConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    seed: int = 0  # what `seeds.init` and `seeds.data` follow
    seeds: Seeds = field(default_factory=Seeds)

    @property
    def keeps_weights(self) -> bool:
        """Whether trained weights stay: by default those of methods that leave most of the base alone."""
        if not self.method.trained:
            return False
        return self.runtime.keep == "all" or (self.runtime.keep == "adapter" and not self.method.full)

    @property
    def base_dtype(self) -> str:
        """Name what the base is held in: 32 bits where it is trained, the model's own where it is frozen."""
        method = self.method
        frozen = method.peft is not None or method.layers is not None or method.trains is None
        return self.model.dtype if self.train.precision == "bf16" and frozen else "float32"


@dataclass
class ReportConfig:
    """What the table of an experiment shows."""

    columns: list[str] = field(default_factory=list)  # its columns, in order; none: the usual ones
    factors: list[str] = field(default_factory=list)  # settings that rows may differ in: they are its subject
    tuning: list[str] = field(default_factory=list)  # settings of which each row shows the best on select
    within: str | None = (
        None  # a setting with numbers: which rows lead at each of its values, and what more of it gives
    )
    per_class: bool = False  # a report per class for each run, in Markdown


@dataclass
class AppConfig(RunConfig):
    """The whole command: a point and, for experiments, the blocks it is swept over."""

    plan: Any = False  # true: show what would be done, and stop there; json: for programs
    scale: str = "full"  # of an experiment: full, small
    scales: dict[str, Any] = field(default_factory=dict)  # of an experiment: its blocks by scale
    blocks: list[Any] = field(default_factory=list)  # of an experiment: words of each block of points
    report: ReportConfig = field(default_factory=ReportConfig)
    search: dict[str, Any] = field(
        default_factory=dict
    )  # read by `door.to_search`: each kind has its own keys
