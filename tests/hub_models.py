"""The models of conf/model as their YAML and a small config.json describe them; networks without weights."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from tunesweep.config import ModelConfig

CONF = Path(__file__).parents[1] / "conf" / "model"
CONFIGS = Path(__file__).parent / "models" / "configs"
VISION = ("cnn", "logistic", "mlp")
NAMES = sorted(path.stem for path in CONF.glob("*.yaml"))
RANDOM = ("random_bert", "random_llama", "random_t5")
LANGUAGE = [name for name in NAMES if name not in VISION]
HUB = [name for name in LANGUAGE if name not in RANDOM]

# LoRA of rank 8 on query and value at full depth, as the papers and PEFT's users print them.
PUBLISHED = {
    "roberta_base": 294_912,
    "roberta_large": 786_432,
    "deberta_v3_base": 294_912,
    "llama2_7b": 4_194_304,
    "llama3_8b": 3_407_872,
    "mistral_7b": 3_407_872,
    "gemma_2b": 921_600,
    "flan_t5_base": 884_736,
    "flan_t5_large": 2_359_296,
}
# The configurations in configs/ are of two layers, to be small; these are the published depths.
DEPTH = {
    "minilm": 6,
    "roberta_base": 12,
    "roberta_large": 24,
    "deberta_v3_base": 12,
    "deberta_v3_large": 24,
    "smollm2_135m": 30,
    "llama2_7b": 32,
    "llama3_8b": 32,
    "llama3_8b_instruct": 32,
    "mistral_7b": 32,
    "gemma_2b": 18,
    "gemma_7b": 28,
    "flan_t5_base": 12,
    "flan_t5_large": 24,
}


def read(name: str) -> ModelConfig:
    merged = OmegaConf.merge(OmegaConf.structured(ModelConfig), OmegaConf.load(CONF / f"{name}.yaml"))
    model = OmegaConf.to_object(merged)
    assert isinstance(model, ModelConfig)
    return model


def described(name: str) -> dict[str, Any]:
    if name in RANDOM:
        return dict(read(name).architecture)
    path = CONFIGS / f"{name}.json"
    assert path.is_file(), f"conf/model/{name}.yaml needs a small config.json at {path}"
    return json.loads(path.read_text())


def bare(name: str, kind: str, **changes: Any) -> torch.nn.Module:
    import transformers

    values = described(name) | changes
    config = transformers.AutoConfig.for_model(values.pop("model_type"), **values)
    with torch.device("meta"):
        return getattr(transformers, kind).from_config(config)


@cache
def classifier(name: str) -> torch.nn.Module:
    return bare(name, "AutoModelForSequenceClassification")


@cache
def backbone(name: str) -> torch.nn.Module:
    return bare(name, "AutoModel")
