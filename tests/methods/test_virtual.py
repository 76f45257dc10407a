"""Virtual tokens: what a row says depends neither on its padding nor on the rows beside it (R11)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import PeftModelForFeatureExtraction

import tiny_cells as tiny
from tunesweep.capabilities import Cell, cells, why_not
from tunesweep.capabilities.catalogue import methods
from tunesweep.errors import BadConfig
from tunesweep.methods import virtual
from tunesweep.methods.attach import attach
from tunesweep.methods.switch import off
from tunesweep.silence import quiet_libraries

CELLS = [
    cell
    for cell in cells(methods([Path(__file__).parents[2] / "conf"]))
    if why_not(cell) is None
    and "virtual_tokens" in cell.traits
    and (cell.quantisation, cell.checkpointing) == ("none", "off")
]


def attached(cell: Cell):
    network, config = tiny.build(cell), tiny.config_of(cell)
    attach(network, config)
    with torch.no_grad():  # strong enough to matter
        network.body.prompt_encoder["default"].embedding.weight.mul_(3)
    return network


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.id)
def test_a_row_alone_says_what_it_says_in_a_batch(cell):
    batch = tiny.rows(cell.family)
    padded = {key: value.clone() for key, value in batch.items()}
    padded["input_ids"] = torch.nn.functional.pad(batch["input_ids"], (0, 3))
    padded["attention_mask"] = torch.nn.functional.pad(batch["attention_mask"], (0, 3))
    with quiet_libraries():
        network = attached(cell)
        said = tiny.says(network, batch)
        torch.testing.assert_close(tiny.says(network, padded), said, atol=1e-5, rtol=0)
        for row in (0, tiny.ROWS - 1):
            alone = tiny.says(network, tiny.alone(batch, row))
            torch.testing.assert_close(alone[0], said[row], atol=1e-5, rtol=0)


def test_pooling_sees_the_text_alone():
    cell = next(c for c in CELLS if (c.method, c.family, c.readout) == ("prompt_tuning", "encoder", "linear"))
    batch = tiny.rows("encoder")
    inputs = {key: batch[key] for key in ("input_ids", "attention_mask")}
    with quiet_libraries(), torch.no_grad():
        network = attached(cell).eval()
        own = network.body(**inputs, token_type_ids=torch.ones_like(batch["input_ids"])).last_hidden_state
        plain = PeftModelForFeatureExtraction.forward(network.body, **inputs).last_hidden_state
    count = virtual.count(network.body)
    assert count == 20
    assert plain.shape[1] == own.shape[1] + count
    torch.testing.assert_close(own, plain[:, count:], atol=0, rtol=0)


def test_padding_moves_to_the_left_and_nothing_else_changes():
    hidden = torch.arange(12.0).view(2, 3, 2)
    moved, mask = virtual.padding_first(hidden, torch.tensor([[1, 1, 1], [1, 0, 0]]))
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]
    assert torch.equal(moved[0], hidden[0])
    assert torch.equal(moved[1, -1], hidden[1, 0])


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.id)
def test_switched_off_and_on_again(cell):
    batch = tiny.rows(cell.family)
    with quiet_libraries():
        bare, network = tiny.says(tiny.build(cell), batch), attached(cell)
        on = tiny.says(network, batch)
        with off(network):
            assert torch.equal(tiny.says(network, batch), bare)
        assert torch.equal(tiny.says(network, batch), on)
        assert not torch.equal(on, bare)


def test_a_method_without_an_adapter_cannot_be_switched_off():
    with (
        pytest.raises(BadConfig, match=r"no adapter to switch off: .*use one that adds to them"),
        off(tiny.build(CELLS[0])),
    ):
        pass
