"""Every YAML of a language model against the real architecture, built without weights from a small config."""

import json

import pytest
import torch

from hub_models import HUB, LANGUAGE, NAMES, RANDOM, VISION, backbone, classifier, described, read
from tunesweep.models import sources


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
    assert set(model.target_modules) == {
        *("query_value", "all_linear"),
        *("key_value_feedforward", "attention_output", "feedforward_output"),
    }
    assert (model.family == "vision") == (name in VISION)


@pytest.mark.parametrize("name", VISION)
def test_target_modules_of_a_reference_model_are_all_its_layers(name):
    from tunesweep.models.reference import reference

    model = read(name)
    module = reference(model, size=8, classes=3)
    layers = {n for n, m in module.named_modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv2d)}
    for group in ("query_value", "all_linear"):
        assert matched(module, model.target_modules[group]) == layers
    assert model.target_modules["feedforward_output"] == ["classifier"]


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
def test_feedforward_and_attention_end_in_one_layer_each(name):
    """What IA3 scales, and behind which adapters stand: found here by shape, not by name."""
    model, module = read(name), backbone(name)
    groups = model.target_modules
    attention = matched(module, groups["attention_output"])
    feedforward = matched(module, groups["feedforward_output"]) - attention
    values = described(name)
    inner = values.get("intermediate_size") or values.get("d_ff")
    outer = values.get("hidden_size") or values.get("d_model")
    per_layer = 2 if model.family == "encoder_decoder" else 1

    assert {module.get_submodule(n).in_features for n in feedforward} == {inner}
    assert {module.get_submodule(n).out_features for n in feedforward | attention} == {outer}
    assert len(feedforward) == 2 * per_layer  # two layers of each kind
    assert len(attention) == 2 * (per_layer + (model.family == "encoder_decoder"))
    keys = matched(
        module, [n for n in groups["key_value_feedforward"] if n not in groups["feedforward_output"]]
    )
    value = groups["query_value"][1]
    assert value in groups["key_value_feedforward"]
    assert len(keys) == 2 * len(matched(module, [value]))


@pytest.mark.parametrize("name", HUB)
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
    (tmp_path / "config.json").write_text(json.dumps(described(name)))
    expected, model.source, model.file, model.width = model.width, str(tmp_path), None, 7

    assert sources.width(model) == expected


@pytest.mark.parametrize("name", LANGUAGE)
def test_max_length_is_within_what_the_model_has_positions_for(name):
    positions = described(name).get("max_position_embeddings", float("inf"))
    reserved = 2 if name.startswith("roberta") else 0  # its positions begin behind the padding index

    assert (read(name).max_length or 0) <= positions - reserved


@pytest.mark.parametrize("name", RANDOM)
def test_the_head_of_a_random_model_is_all_that_its_masked_or_language_model_lacks(name):
    model, module = read(name), classifier(name)

    assert all(dict(module.named_modules()).keys() & {head, f"bert.{head}"} for head in model.head)
