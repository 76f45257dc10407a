"""An adapter in the base's own weights: the sum is rounded once, and what cannot be merged is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import tiny_cells as tiny
from tunesweep.capabilities import Cell, traits
from tunesweep.capabilities.catalogue import methods
from tunesweep.errors import BadConfig
from tunesweep.methods import artefact
from tunesweep.methods.attach import attach
from tunesweep.methods.merging import merged
from tunesweep.models.language import unwrapped
from tunesweep.silence import quiet_libraries

METHODS = methods([Path(__file__).parents[2] / "conf"])
MERGING = sorted(name for name, method in METHODS.items() if method.merges)
PLACES = [("encoder", "head"), ("encoder", "linear"), ("decoder", "generate"), ("encoder_decoder", "head")]


def cell_of(method: str, family: str, readout: str, quantisation: str = "none") -> Cell:
    return Cell(method, traits(METHODS[method]), family, quantisation, "off", readout)


def learned(cell: Cell):
    config = tiny.config_of(cell)
    network = tiny.build(cell)
    attach(network, config)
    tiny.learn(network, config, 2e-2, 4)
    return network, config


def test_the_methods_that_merge_are_those_of_the_design():
    assert MERGING == ["adalora", "dora", "ia3", "lora", "qlora", "vera"]


@pytest.mark.parametrize(("family", "readout"), PLACES)
@pytest.mark.parametrize("method", MERGING)
def test_a_merged_network_says_the_same_but_for_rounding(method, family, readout):
    cell = cell_of(method, family, readout)
    with quiet_libraries():
        network, _ = learned(cell)
        batch = tiny.rows(family)
        said, base = tiny.says(network, batch), tiny.says(tiny.build(cell), batch)
        whole = merged(network)
        assert whole.body is unwrapped(whole.body)
        assert {p.dtype for p in whole.parameters()} == {torch.bfloat16}
        assert not [
            name for name, _ in whole.named_parameters() if "lora" in name or "modules_to_save" in name
        ]
        change = (tiny.says(whole.float(), batch) - said).abs().max()
    assert change < 0.3 * (base - said).abs().max()
    assert change < 0.05 * said.abs().max()


def test_the_sum_is_taken_in_32_bits_and_rounded_once():
    cell = cell_of("lora", "decoder", "head")
    with quiet_libraries():
        network, config = learned(cell)
        layer = network.body.get_submodule("base_model.model.model.layers.0.self_attn.q_proj")
        a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        scale = config.lora.alpha / config.lora.r
        exact = (layer.base_layer.weight + scale * b @ a).detach().to(torch.bfloat16)
        head = network.body.base_model.model.score.modules_to_save["default"].weight.detach().clone()
        whole = merged(network)
    assert torch.equal(whole.body.model.layers[0].self_attn.q_proj.weight, exact)
    assert torch.equal(whole.body.score.weight, head.to(torch.bfloat16))
    assert whole.body.model.rotary_emb.inv_freq.dtype == torch.float32  # positions would blur in bf16


def test_qlora_merges_into_the_base_as_it_was_before(tmp_path):
    with quiet_libraries():
        network, config = learned(cell_of("qlora", "encoder", "head", "nf4"))
        with pytest.raises(
            BadConfig, match=r"not merged into 4-bit weights.*: build .* method.quantisation=null"
        ):
            merged(network)
        artefact.save(network, config, tmp_path)
        cell = cell_of("qlora", "encoder", "head")
        plain = tiny.build(cell)
        artefact.load(plain, tiny.config_of(cell), tmp_path)
        said = tiny.says(plain, tiny.rows("encoder"))
        again = tiny.says(merged(plain).float(), tiny.rows("encoder"))
    torch.testing.assert_close(again, said, atol=0.05 * float(said.abs().max()), rtol=0)


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("prompt_tuning", "virtual tokens"),
        ("prefix_tuning", "virtual tokens"),
        ("bottleneck", "bottleneck layers"),
    ],
)
def test_what_is_no_change_of_a_layer_is_refused(method, kind):
    with quiet_libraries():
        network, _ = learned(cell_of(method, "encoder", "head"))
        with pytest.raises(BadConfig, match=f"{kind} cannot be merged .*: keep the adapter beside"):
            merged(network)


def test_what_has_no_adapter_is_rounded_alone():
    with quiet_libraries():
        network, _ = learned(cell_of("full", "encoder", "head"))
        weights = [p.detach().to(torch.bfloat16) for p in network.parameters()]
        assert all(torch.equal(a, b) for a, b in zip(merged(network).parameters(), weights, strict=True))
