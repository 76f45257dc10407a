"""Adapter layers of our own: where they stand, how large they are, and that they begin as nearly nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import tiny_cells as tiny
from tunesweep.capabilities import Cell, traits
from tunesweep.capabilities.catalogue import methods
from tunesweep.errors import BadConfig
from tunesweep.methods import bottleneck
from tunesweep.methods.attach import attach, parameter_counts
from tunesweep.methods.options import Bottleneck
from tunesweep.silence import quiet_libraries

METHODS = methods([Path(__file__).parents[2] / "conf"])
PLACES = {
    ("encoder", "pfeiffer"): ["encoder.layer.0.output.dense"],
    ("encoder", "houlsby"): ["encoder.layer.0.attention.output.dense", "encoder.layer.0.output.dense"],
    ("decoder", "pfeiffer"): ["layers.0.mlp.down_proj"],
    ("decoder", "houlsby"): ["layers.0.mlp.down_proj", "layers.0.self_attn.o_proj"],
    ("encoder_decoder", "pfeiffer"): [
        "decoder.block.0.layer.2.DenseReluDense.wo",
        "encoder.block.0.layer.1.DenseReluDense.wo",
    ],
    ("encoder_decoder", "houlsby"): [
        "decoder.block.0.layer.0.SelfAttention.o",
        "decoder.block.0.layer.1.EncDecAttention.o",
        "decoder.block.0.layer.2.DenseReluDense.wo",
        "encoder.block.0.layer.0.SelfAttention.o",
        "encoder.block.0.layer.1.DenseReluDense.wo",
    ],
}


def attached(family: str, *words: str):
    cell = Cell("bottleneck", traits(METHODS["bottleneck"]), family)
    config = tiny.config_of(cell, *words)
    with quiet_libraries():
        network = tiny.build(cell)
        attach(network, config)
    return network, config


@pytest.mark.parametrize(("family", "placement"), PLACES)
def test_adapters_stand_where_their_papers_put_them(family, placement):
    network, _ = attached(family, f"method.layers.placement={placement}")
    found = {n for n, m in network.named_modules() if isinstance(m, bottleneck.Adapted)}
    ends = [re.sub(r"^body\.(bert|model|transformer)\.", "", name) for name in sorted(found)]
    assert ends == PLACES[family, placement]


@pytest.mark.parametrize(
    ("words", "width"), [((), 2), (("method.layers.reduction=4",), 8), (("method.layers.width=5",), 5)]
)
def test_parameters_follow_the_formula(words, width):
    network, config = attached("encoder", "method.layers.placement=houlsby", *words)
    # Two adapters in one layer, each 2 d w weights and w + d biases.
    assert parameter_counts(network, config)["adapter"] == 2 * (2 * tiny.WIDTH * width + width + tiny.WIDTH)


def test_an_adapter_begins_as_nearly_the_identity_and_not_quite():
    torch.manual_seed(0)
    layer = torch.nn.Linear(64, 64)
    hidden = layer(torch.randn(16, 64))
    adapted = bottleneck.Adapted(layer, bottleneck.Adapter(64, 8, "relu"))
    change = (adapted.bottleneck(hidden).norm() / hidden.norm()).item()
    assert 0 < change < 0.01


@pytest.mark.parametrize("name", ["relu", "gelu", "silu", "tanh"])
def test_the_activation_is_the_one_that_was_chosen(name):
    adapter = bottleneck.Adapter(8, 4, name)
    hidden = torch.randn(3, 8)
    inner = hidden @ adapter.down.weight.T
    inner = getattr(torch.nn.functional, name)(inner) if name != "tanh" else torch.tanh(inner)
    torch.testing.assert_close(adapter(hidden), inner @ adapter.up.weight.T)


def test_a_place_that_does_not_exist_is_refused():
    body = torch.nn.Sequential(torch.nn.Linear(4, 4))
    with pytest.raises(
        BadConfig, match=r"names 'o_proj', which the model does not have: correct model\.target"
    ):
        bottleneck.insert(body, Bottleneck(after_feedforward=["o_proj"]))


def test_adapters_are_held_in_32_bits_on_a_base_in_16():
    body = torch.nn.ModuleDict({"dense": torch.nn.Linear(8, 8)}).to(torch.bfloat16)
    bottleneck.insert(body, Bottleneck(after_feedforward=["dense"], width=2))
    out = body["dense"](torch.randn(2, 8, dtype=torch.bfloat16))
    assert out.dtype == torch.bfloat16
    assert {p.dtype for p in body["dense"].bottleneck.parameters()} == {torch.float32}
    assert body["dense"].weight.dtype == torch.bfloat16
