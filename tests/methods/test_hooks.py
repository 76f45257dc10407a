"""AdaLoRA's share of the training loop: phases, regulariser, ranks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import tiny_cells as tiny
from tunesweep.capabilities import Cell, traits
from tunesweep.capabilities.catalogue import methods
from tunesweep.methods import hooks
from tunesweep.methods.attach import attach
from tunesweep.silence import quiet_libraries

METHODS = methods([Path(__file__).parents[2] / "conf"])
CELL = Cell("adalora", traits(METHODS["adalora"]), "encoder")


def attached(*words: str):
    config = tiny.config_of(CELL, *words)
    with quiet_libraries():
        network = tiny.build(CELL)
        attach(network, config)
    return network, config


def settings(network):
    return network.body.peft_config["default"]


@pytest.mark.parametrize(
    ("total", "phases"),
    [(200, (200, 20, 100)), (10, (10, 1, 5)), (3, (3, 0, 1)), (2, (3, 0, 1)), (1, (3, 0, 1))],
)
def test_phases_are_shares_of_the_steps_there_will_be(total, phases):
    network, config = attached()
    hooks.prepare(network, config, total)
    found = settings(network)
    assert (found.total_step, found.tinit, found.tfinal) == phases
    assert found.tinit < found.total_step - found.tfinal  # or PEFT would have no step to give up a rank in


def test_it_begins_with_twice_the_rank_and_ends_with_it_on_average():
    network, config = attached("lora.r=4", "lora.targets=all_linear")
    singular = [p for n, p in network.named_parameters() if ".lora_E." in n]
    assert {p.numel() for p in singular} == {8}
    with quiet_libraries():
        tiny.learn(network, config, 2e-2, steps=10)
    left = [int((p != 0).sum()) for p in singular]
    assert sum(left) == 4 * len(singular)
    assert len(set(left)) > 1  # it is for the training to say where they go


def test_a_settled_network_has_the_ranks_that_are_left_and_says_the_same():
    network, config = attached("lora.r=4", "lora.targets=all_linear")
    with quiet_libraries():
        tiny.learn(network, config, 2e-2, steps=10)
    network.eval()
    batch = tiny.rows("encoder")
    with torch.no_grad():
        said = network(batch)
        for _ in range(2):
            hooks.settle(network, config)
            torch.testing.assert_close(network(batch), said)
    singular = [p for n, p in network.named_parameters() if ".lora_E." in n]
    assert sum(p.numel() for p in singular) == 4 * len(singular)
    assert [sum(kept) for kept in settings(network).rank_pattern.values()] == [len(p) for p in singular]


def test_the_regulariser_has_the_gradient_of_pefts_own():
    network, config = attached()
    batch = tiny.rows("encoder")
    inputs = {key: batch[key] for key in ("input_ids", "attention_mask", "labels")}
    with quiet_libraries():
        network.train()
        loss = network.body(**inputs).loss  # PEFT adds its regulariser to a loss of the model's own
        loss.backward()
        wanted = {n: p.grad.clone() for n, p in network.named_parameters() if p.requires_grad}
        network.zero_grad()
        tiny.loss_of(network, batch).backward()
        hooks.before_step(network, config)
    parameters = dict(network.named_parameters())
    for name, grad in wanted.items():
        torch.testing.assert_close(parameters[name].grad, grad, atol=1e-6, rtol=1e-5)
    assert settings(network).orth_reg_weight == 0.1
    vectors = [grad for name, grad in wanted.items() if "lora_A" in name]
    assert all(
        grad.abs().max() > 1e-4 for grad in vectors
    )  # E is zero at first: all of it is the regulariser's


def test_methods_without_a_hook_are_left_alone():
    cell = Cell("lora", traits(METHODS["lora"]), "encoder")
    config = tiny.config_of(cell)
    with quiet_libraries():
        network = tiny.build(cell)
        attach(network, config)
    before = [p.detach().clone() for p in network.parameters()]
    hooks.prepare(network, config, 10)
    hooks.before_step(network, config)
    hooks.after_step(network, config, 0, 10)
    hooks.settle(network, config)
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
