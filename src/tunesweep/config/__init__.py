"""One point as typed dataclasses: the Hydra schema, and all that the code below the door sees.

One file per config group, under the same names as in conf/.
"""

from tunesweep.config.dataset import SPLITS, DatasetConfig, Limit
from tunesweep.config.method import Budget, LoraConfig, MethodConfig, Shots
from tunesweep.config.model import FAMILIES, ModelConfig
from tunesweep.config.point import AppConfig, RunConfig, Seeds
from tunesweep.config.readout import ReadoutConfig
from tunesweep.config.runtime import WORKER, Point, RuntimeConfig, WandbConfig
from tunesweep.config.train import TrainConfig

__all__ = [
    "FAMILIES",
    "SPLITS",
    "WORKER",
    "AppConfig",
    "Budget",
    "DatasetConfig",
    "Limit",
    "LoraConfig",
    "MethodConfig",
    "ModelConfig",
    "Point",
    "ReadoutConfig",
    "RunConfig",
    "RuntimeConfig",
    "Seeds",
    "Shots",
    "TrainConfig",
    "WandbConfig",
]
