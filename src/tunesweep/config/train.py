"""The group `train`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tunesweep.config.checks import fraction, positive
from tunesweep.errors import BadConfig, require


@dataclass
class TrainConfig:
    """Budget and optimiser; null takes the method's own."""

    lr: float | None = None  # learning rate
    epochs: int | None = None  # passes over the train split
    warmup: float | None = None  # share of all steps
    optimizer: str = "adamw"  # adamw, adamw_8bit, paged_adamw_8bit (bitsandbytes)
    schedule: str = "linear"  # linear, cosine, constant
    batch_size: int = 32  # examples per optimiser step
    weight_decay: float = 0.01  # of matrices; biases and norms have none
    clip: float | None = 1.0  # largest gradient norm
    dropout: float | None = 0.0  # of the backbone; null leaves the model's own
    class_weights: str | None = None  # balanced
    # bf16 (autocast; what is trained stays in 32 bits), fp32; auto: bf16 where the device computes in it
    precision: str = "auto"
    monitor: str = "auto"  # on the select split: accuracy, macro_f1, loss; auto: what the task goes by
    patience: int | None = None  # epochs without a better one before training ends
    bucketing: bool = True  # batches of similar length

    def __post_init__(self) -> None:
        positive("train", lr=self.lr, epochs=self.epochs, batch_size=self.batch_size)
        positive("train", clip=self.clip, patience=self.patience)
        fraction("train", warmup=self.warmup or 0.0, dropout=self.dropout or 0.0)
        require(self.schedule, ("linear", "cosine", "constant"), "train.schedule")
        require(self.precision, ("auto", "bf16", "fp32"), "train.precision")
        require(self.optimizer, ("adamw", "adamw_8bit", "paged_adamw_8bit"), "train.optimizer")
        require(self.monitor, ("auto", "accuracy", "macro_f1", "loss"), "train.monitor")
        require(self.class_weights, (None, "balanced"), "train.class_weights")
        if not 0 <= self.weight_decay < math.inf:
            raise BadConfig(f"train.weight_decay={self.weight_decay} must not be negative, and finite")
