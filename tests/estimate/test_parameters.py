"""Counts from sizes alone equal those of networks, and those that everybody knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hub_models import DEPTH, HUB, PUBLISHED, bare, described
from tunesweep.config import RunConfig
from tunesweep.estimate import parameters, shape
from tunesweep.estimate.architecture import shape_of
from tunesweep.estimate.shape import Shape
from workplace import attached, tiny

Make = Callable[..., RunConfig]
METHODS = ("full", "head_only", "bitfit", "lora", "dora", "qlora", "adalora", "vera", "ia3", "bottleneck")
VIRTUAL = ("prefix_tuning", "p_tuning", "prompt_tuning")


def deep(name: str) -> Shape:
    """Return the sizes of a model at its published depth."""
    depths = [
        key for key in ("num_hidden_layers", "num_layers", "num_decoder_layers") if key in described(name)
    ]
    found = shape.read(described(name) | dict.fromkeys(depths, DEPTH[name]))
    assert found is not None
    return found


@pytest.mark.parametrize("name", PUBLISHED)
def test_lora_is_as_large_as_published(name: str, make_config: Make) -> None:
    config = make_config(
        f"model={name}", "method=lora", "lora.r=8", "dataset=reviews", "train.precision=fp32"
    )
    found = parameters.trained(config, deep(name), 2)
    assert found is not None
    assert found.adapter == PUBLISHED[name]


@pytest.mark.parametrize("name", HUB)
def test_a_base_is_as_large_as_transformers_makes_it(name: str, make_config: Make) -> None:
    config = make_config(f"model={name}", "readout=head", "train.precision=fp32")
    network = bare(name, "AutoModelForSequenceClassification")
    found = shape.read(described(name))
    assert found is not None
    ours = parameters.base(config, found) + parameters.head(config, found, 2)
    assert ours == pytest.approx(sum(p.numel() for p in network.parameters()), rel=0.002)


@pytest.mark.parametrize("method", [*METHODS, *VIRTUAL])
def test_every_method_trains_as_much_as_is_counted(method: str, make_config: Make) -> None:
    limit = "dataset.limit={train: 8, select: 4, test: 4}"
    config = make_config(*tiny("random_bert"), f"method={method}", "lora.r=4", limit)
    sizes = shape_of(config.model)
    assert sizes is not None
    found = parameters.trained(config, sizes, 2)
    assert found is not None
    with attached(config) as work:
        wanted = work.record.parameters
        tensors = sum(p.requires_grad for p in work.network.parameters())
    assert found.head == wanted["head"]
    assert found.adapter == pytest.approx(wanted["adapter"], rel=0.001)
    assert found.tensors == pytest.approx(tensors, abs=8)


def test_an_unknown_architecture_or_method_is_not_counted(make_config: Make) -> None:
    assert shape.read({"model_type": "mamba", "hidden_size": 8}) is None
    assert shape.read({"model_type": "bert"}) is None
    config = make_config("method=lora")
    sizes: Any = shape_of(config.model)
    config.method.peft = {"_target_": "peft.LoHaConfig", "r": 4}
    assert parameters.trained(config, sizes, 2) is None
