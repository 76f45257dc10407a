"""Every YAML of a language model against the real architecture, built without weights from a small config."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from tunesweep.config import ModelConfig
from tunesweep.models import sources

CONF = Path(__file__).parents[2] / "conf" / "model"
CONFIGS = Path(__file__).parent / "configs"
VISION = ("cnn", "logistic", "mlp")
NAMES = sorted(path.stem for path in CONF.glob("*.yaml"))
LANGUAGE = [name for name in NAMES if name not in VISION]

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
DEPTH = {
    "roberta_base": 12,
    "roberta_large": 24,
    "deberta_v3_base": 12,
    "llama2_7b": 32,
    "llama3_8b": 32,
    "mistral_7b": 32,
    "gemma_2b": 18,
    "flan_t5_base": 12,
    "flan_t5_large": 24,
}


def read(name: str) -> ModelConfig:
    merged = OmegaConf.merge(OmegaConf.structured(ModelConfig), OmegaConf.load(CONF / f"{name}.yaml"))
    model = OmegaConf.to_object(merged)
    assert isinstance(model, ModelConfig)
    return model


def described(name: str) -> dict[str, Any]:
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


def matched(module: torch.nn.Module, suffixes: list[str]) -> set[str]:
    return {n for n, _ in module.named_modules() if any(n == s or n.endswith(f".{s}") for s in suffixes)}


def linears(module: torch.nn.Module, head: list[str]) -> set[str]:
    from transformers.pytorch_utils import Conv1D

    found = {n for n, m in module.named_modules() if isinstance(m, torch.nn.Linear | Conv1D)}
    return {n for n in found if not {*head, "pooler"} & set(n.split("."))}


@pytest.mark.parametrize("name", NAMES)
def test_a_yaml_fits_the_schema_and_its_own_name(name):
    model = read(name)

    assert model.name == name
    assert set(model.target_modules) == {"query_value", "all_linear"}
    assert (model.family == "vision") == (name in VISION)


@pytest.mark.parametrize("name", VISION)
def test_target_modules_of_a_reference_model_are_all_below_its_head(name):
    from tunesweep.models.reference import reference

    model = read(name)
    module = reference(model, size=8, classes=3)
    layers = {n for n, m in module.named_modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv2d)}
    for suffixes in model.target_modules.values():
        assert matched(module, suffixes) == layers - set(model.head)


@pytest.mark.parametrize("name", LANGUAGE)
@pytest.mark.parametrize("build", [classifier, backbone])
def test_target_modules_are_linear_layers_of_the_backbone(name, build):
    model, module = read(name), build(name)

    for suffix in [s for suffixes in model.target_modules.values() for s in suffixes]:
        assert matched(module, [suffix]), f"{suffix} matches nothing"
    assert matched(module, model.target_modules["all_linear"]) == linears(module, model.head)
    assert matched(module, model.target_modules["query_value"]) < linears(module, model.head)


@pytest.mark.parametrize("name", LANGUAGE)
def test_query_and_value_are_one_pair_per_attention(name):
    model, module = read(name), classifier(name)
    query, value = (matched(module, [suffix]) for suffix in model.target_modules["query_value"])

    attentions = {n.rpartition(".")[0] for n in query}
    assert attentions == {n.rpartition(".")[0] for n in value}
    assert len(query) == len(value) == len(attentions)
    assert len(attentions) == (6 if model.family == "encoder_decoder" else 2)  # a decoder layer of T5 has two


@pytest.mark.parametrize("name", LANGUAGE)
def test_the_head_is_all_that_is_new_for_a_task(name):
    model, module = read(name), classifier(name)
    prefix = module.base_model_prefix + "."

    new = {n for n in module.state_dict() if not n.startswith(prefix)}
    assert {n.split(".")[0] for n in new} == set(model.head)


@pytest.mark.parametrize("name", LANGUAGE)
def test_width_is_the_narrowest_adapted_layer(name):
    model, module = read(name), classifier(name)

    layers = [module.get_submodule(n) for n in matched(module, model.target_modules["all_linear"])]
    assert model.width == min(min(layer.in_features, layer.out_features) for layer in layers)


@pytest.mark.parametrize("name", LANGUAGE)
def test_width_of_a_local_folder_is_read_from_its_config(name, tmp_path):
    model = read(name)
    (tmp_path / "config.json").write_text((CONFIGS / f"{name}.json").read_text())
    expected, model.source, model.file, model.width = model.width, str(tmp_path), None, 7

    assert sources.width(model) == expected


@pytest.mark.parametrize("name", LANGUAGE)
def test_max_length_is_within_what_the_model_has_positions_for(name):
    positions = described(name).get("max_position_embeddings", float("inf"))
    reserved = 2 if name.startswith("roberta") else 0  # its positions begin behind the padding index

    assert (read(name).max_length or 0) <= positions - reserved


@pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
)  # PEFT asks for it
@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_lora_has_the_published_number_of_parameters(name):
    from peft import LoraConfig, TaskType, get_peft_model

    model, values = read(name), described(name)
    layers = [key for key in ("num_hidden_layers", "num_layers", "num_decoder_layers") if key in values]
    full = bare(name, "AutoModelForSequenceClassification", **dict.fromkeys(layers, DEPTH[name]))
    targets = model.target_modules["query_value"]
    lora = LoraConfig(TaskType.SEQ_CLS, r=8, target_modules=targets, modules_to_save=list(model.head))
    adapted = get_peft_model(full, lora)

    trained = {n: p.numel() for n, p in adapted.named_parameters() if p.requires_grad}
    assert sum(size for n, size in trained.items() if "lora_" in n) == PUBLISHED[name]
    heads = {head for n in trained for head in model.head if f".{head}." in n}
    assert heads == set(model.head)
