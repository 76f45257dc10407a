"""One point as typed dataclasses: the Hydra schema, and all that the code below the door sees."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from omegaconf import II, MISSING

from tunesweep.errors import BadConfig, require

FAMILIES = ("encoder", "decoder", "encoder_decoder", "vision")
SPLITS = ("train", "select", "test")


def _positive(owner: str, **values: float | None) -> None:
    for key, value in values.items():
        if value is not None and not 0 < value < math.inf:
            raise BadConfig(f"{owner}.{key}={value} must be above zero and finite")


def _fraction(owner: str, **values: float) -> None:
    for key, value in values.items():
        if not 0 <= value < 1:
            raise BadConfig(f"{owner}.{key}={value} must be at least 0 and below 1")


@dataclass
class Budget:
    """Default rate, epochs and warm-up, and where the numbers come from."""

    lr: float = MISSING
    epochs: int = MISSING
    warmup: float = MISSING
    source: str = MISSING


@dataclass
class ModelConfig:
    """A backbone, and where its weights come from."""

    name: str = MISSING
    family: str = MISSING
    source: str = MISSING  # hub id, local folder, `package:NAME/FOLDER` or `builtin:ARCHITECTURE`
    revision: str | None = None  # of a hub id
    file: str | None = None  # a GGUF file in the source, converted once
    dtype: str = "float32"  # what a frozen base is held in under bf16 training
    head: list[str] = field(default_factory=lambda: ["classifier"])  # modules that no checkpoint carries
    target_modules: dict[str, list[str]] = field(default_factory=dict)
    width: int | None = None  # narrowest layer an adapter may sit on; used where no config.json is at hand
    max_length: int | None = None  # longest input in tokens; null: no limit known
    pad: str | None = None  # PAD token; null picks one that is not the end-of-text token
    pooling: str = "cls"  # what `readout.pooling=auto` means
    hidden: list[int] = field(default_factory=list)  # layer widths of a built-in reference model
    trust_remote_code: bool = False
    budget: Budget | None = None  # of a model that begins at random: stands in for the method's own

    def __post_init__(self) -> None:
        require(self.family, FAMILIES, "model.family")
        require(self.dtype, ("float32", "bfloat16"), "model.dtype")
        require(self.pooling, ("cls", "last", "mean"), "model.pooling")


@dataclass
class MethodConfig:
    """How much of a model is trained, and how."""

    name: str = MISSING
    trains: str | None = None  # regex of parameter names; the head is always trained
    quantisation: str | None = None  # nf4
    peft: dict[str, Any] | None = None  # `_target_` of a PEFT config, and its arguments
    budget: Budget = field(default_factory=Budget)

    @property
    def full(self) -> bool:
        """Whether every weight is trained."""
        return self.trains == ".*"

    def __post_init__(self) -> None:
        require(self.quantisation, (None, "nf4"), "method.quantisation")


@dataclass
class LoraConfig:
    """Rank and scale, for the methods whose YAML refers to `${lora...}`."""

    r: int = 8
    alpha: int = II("double:${lora.r}")
    dropout: float = 0.0
    rslora: bool = False
    targets: str = "query_value"
    target_modules: list[str] = II("model.target_modules.${lora.targets}")

    def __post_init__(self) -> None:
        _positive("lora", r=self.r, alpha=self.alpha)
        _fraction("lora", dropout=self.dropout)


@dataclass
class Limit:
    """How many rows of each split are used, drawn stratified; null takes all."""

    train: int | None = None
    select: int | None = None
    test: int | None = None

    def __post_init__(self) -> None:
        _positive("dataset.limit", train=self.train, select=self.select, test=self.test)


@dataclass
class DatasetConfig:
    """Where examples come from, and which columns they are."""

    name: str = MISSING
    task: str = "classification"
    modality: str = "text"  # text, image
    train: str | None = None  # file, `package:NAME/FILE`, `hub:ID#SPLIT`, `sklearn:digits`
    select: str | None = None
    test: str | None = None
    folder: str | None = None  # of IDX files, by their published names; replaces train and test
    revision: str | None = None  # of a hub id
    format: str = "auto"  # csv, tsv, jsonl, json, parquet, lines, idx; auto: by the file's name
    text: str = "text"  # column name, or number where there is no header
    text_pair: str | None = None
    image: str = "image"
    label: str = "label"
    group: str | None = None  # rows of one group never stand on both sides of a split
    labels: list[str] | None = None  # order of the classes; null: sorted names
    label_names: dict[str, str] = field(default_factory=dict)  # value in the file -> class; "": left out
    header: bool = True
    delimiter: str | None = None
    quoting: bool | None = None  # null: csv is quoted, tsv is not
    pattern: str | None = None  # regex with named groups, for format=lines
    charset: str = "utf-8"
    test_fraction: float = 0.2  # cut from train where no test split is given
    select_fraction: float = 0.1  # cut from train where no select split is given
    limit: Limit = field(default_factory=Limit)

    def __post_init__(self) -> None:
        require(self.task, ("classification",), "dataset.task")
        require(self.modality, ("text", "image"), "dataset.modality")
        formats = ("auto", "csv", "tsv", "jsonl", "json", "parquet", "lines", "idx")
        require(self.format, formats, "dataset.format")
        _fraction("dataset", test_fraction=self.test_fraction, select_fraction=self.select_fraction)
        if not (self.train or self.folder):
            raise BadConfig("dataset.train=null: name the file to learn from, dataset.train=PATH")


@dataclass
class ReadoutConfig:
    """How a class is read off the model."""

    name: str = MISSING
    pooling: str = "auto"  # linear: cls, last, mean; auto: the model's own
    words: dict[str, str] = field(default_factory=dict)  # label_words: class -> its word; else its name
    prompt: str = "{text}\nAnswer:"  # label_words: what stands before the word

    def __post_init__(self) -> None:
        require(self.pooling, ("auto", "cls", "last", "mean"), "readout.pooling")
        if "{text}" not in self.prompt:
            raise BadConfig(f"readout.prompt={self.prompt!r} must contain {{text}}")


@dataclass
class TrainConfig:
    """Budget and optimiser; null takes the method's own."""

    lr: float | None = None
    epochs: int | None = None
    warmup: float | None = None  # share of all steps
    schedule: str = "linear"  # linear, cosine, constant
    batch_size: int = 32  # examples per optimiser step
    weight_decay: float = 0.01
    clip: float | None = 1.0  # largest gradient norm
    dropout: float | None = 0.0  # of the backbone; null leaves the model's own
    class_weights: str | None = None  # balanced
    precision: str = "bf16"  # bf16 (autocast; what is trained stays in 32 bits), fp32
    monitor: str = "accuracy"  # on the select split: accuracy, macro_f1, loss
    patience: int | None = None  # epochs without a better one before training ends
    bucketing: bool = True  # batches of similar length

    def __post_init__(self) -> None:
        _positive("train", lr=self.lr, epochs=self.epochs, batch_size=self.batch_size)
        _positive("train", clip=self.clip, patience=self.patience)
        _fraction("train", warmup=self.warmup or 0.0, dropout=self.dropout or 0.0)
        require(self.schedule, ("linear", "cosine", "constant"), "train.schedule")
        require(self.precision, ("bf16", "fp32"), "train.precision")
        require(self.monitor, ("accuracy", "macro_f1", "loss"), "train.monitor")
        require(self.class_weights, (None, "balanced"), "train.class_weights")
        if not 0 <= self.weight_decay < math.inf:
            raise BadConfig(f"train.weight_decay={self.weight_decay} must not be negative, and finite")


@dataclass
class WandbConfig:
    """Where a run is mirrored to."""

    mode: str = "offline"  # offline, online, disabled
    project: str = "tunesweep"
    entity: str | None = None

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
    index: int = 0
    total: int = 1
    uses_lora: bool = True  # the method takes its rank
    executor: str = "in process"  # what carries the run out: Hydra's launcher, when it is not the basic one
    lr_by_hand: bool = False  # train.lr was given, not the method's own


@dataclass
class RuntimeConfig:
    """Where and how a point is carried out: never part of its identity."""

    store: str = "multirun"
    cache: str = MISSING
    device: str = "auto"  # auto, cpu, cuda
    threads: int | None = None
    micro_batch: int | None = None  # examples per forward; null: the whole batch
    eval_batch_size: int = 64
    gradient_checkpointing: bool = False
    attention: str = "auto"  # eager on a CPU, flash_attention_2 or sdpa on a GPU
    keep: str = "adapter"  # metrics (with predictions); adapter: and trained weights, not a full model's; all
    force: bool = False
    progress: bool = True
    wandb: WandbConfig = field(default_factory=WandbConfig)
    point: Point = field(default_factory=Point)

    def __post_init__(self) -> None:
        _positive("runtime", threads=self.threads, micro_batch=self.micro_batch)
        _positive("runtime", eval_batch_size=self.eval_batch_size)
        require(self.device, ("auto", "cpu", "cuda"), "runtime.device")
        require(self.keep, ("metrics", "adapter", "all"), "runtime.keep")
        attentions = ("auto", "eager", "sdpa", "flash_attention_2")
        require(self.attention, attentions, "runtime.attention")


@dataclass
class Seeds:
    """Where chance enters: new weights, order of the data, choice of the splits."""

    init: int = II("seed")
    data: int = II("seed")
    split: int = 0

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
    encoding: dict[str, Any] = field(default_factory=dict)
    readout: ReadoutConfig = MISSING
    train: TrainConfig = field(default_factory=TrainConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    seed: int = 0
    seeds: Seeds = field(default_factory=Seeds)


@dataclass
class AppConfig(RunConfig):
    """The whole command: a point and, for experiments, the blocks it is swept over."""

    scale: str = "full"
    scales: dict[str, Any] = field(default_factory=dict)
    blocks: list[Any] = field(default_factory=list)
