"""The capability matrix, cell by cell: what is allowed trains a tiny model, what is forbidden says why."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import tiny_cells as tiny
from tunesweep.capabilities import AXES, Cell, cells, why_not
from tunesweep.capabilities.catalogue import methods
from tunesweep.methods import names
from tunesweep.methods.attach import attach
from tunesweep.methods.switch import off
from tunesweep.models.generation import Generator
from tunesweep.silence import quiet_libraries

CONF = Path(__file__).parents[2] / "conf"
METHODS = methods([CONF])
CELLS = list(cells(METHODS))
ALLOWED = [cell for cell in CELLS if why_not(cell) is None]
STARTED = [
    Cell(cell.method, cell.traits, "vision", model_traits=frozenset({"started"}))
    for cell in CELLS
    if (cell.family, cell.quantisation, cell.checkpointing, cell.readout) == ("vision", "none", "off", "head")
]
FROM_A_RUN = [cell for cell in STARTED if why_not(cell) is None]
HOT = {"every_weight": 3e-3, "base_weights": 3e-2, "adapter": 3e-2, "head_alone": 3e-2}  # rates by trait


def test_the_matrix_is_the_full_product_of_its_axes():
    assert set(METHODS) == {path.stem for path in (CONF / "method").glob("*.yaml")}
    assert {key: len(values) for key, values in AXES.items()} == {
        "family": 4,
        "quantisation": 2,
        "checkpointing": 2,
        "readout": 4,
    }
    assert len(CELLS) == len({cell.id for cell in CELLS}) == 15 * 4 * 2 * 2 * 4
    # Each is either tried below or in test_rules.py, whose ids are the rest.
    assert len(ALLOWED) == 489


def tried(cell):
    """Return the cell as a parameter: the two that cost most together are tried by `make test-slow`."""
    both = cell.quantisation == "nf4" and cell.checkpointing == "on"
    return pytest.param(cell, id=cell.id, marks=[pytest.mark.slow] if both else [])


@pytest.mark.parametrize("cell", [tried(cell) for cell in (*ALLOWED, *FROM_A_RUN)])
def test_an_allowed_cell_learns(cell):
    config = tiny.config_of(cell)
    with quiet_libraries():
        network = tiny.build(cell)
        said, before = tiny.says(network, tiny.rows(cell.family)), tiny.base_of(network)
        attach(network, config)
        trained = {name for name, p in network.named_parameters() if p.requires_grad}
        if "untrained" in cell.traits:
            check_untrained(network, cell, said)
            return
        rate = next(rate for trait, rate in HOT.items() if trait in cell.traits)
        losses, reached = tiny.learn(network, config, rate)
        assert losses[-1] < losses[0] - 0.003, losses
        # A bias on all keys moves no attention: its gradient is zero but for rounding.
        assert {name for name in trained - reached if not name.endswith("key.bias")} == set()
        check_base(network, before, trained)
        if "adapter" in cell.traits and cell.readout != "linear":
            check_off(network, cell, said)


def check_untrained(network, cell, said):
    batch = tiny.rows(cell.family)
    assert torch.equal(tiny.says(network, batch), said)
    assert torch.isfinite(said).all()
    assert said.std() > 0
    if isinstance(network, Generator):
        written = network.generate(batch, longest=3)
        assert len(written) == tiny.ROWS
        assert all(len(row) <= 3 for row in written)


def check_base(network, before, trained):
    """Every weight of the base is still there, and what was not trained is what it was, to the bit."""
    now = dict(network.named_parameters())
    moved = {names.bare(name, network) for name in trained}
    kept = {names.bare(name, network): p for name, p in now.items() if name not in trained}
    assert set(before) <= moved | set(kept)
    assert [name for name in before if name in kept and not torch.equal(before[name], kept[name])] == []


def check_off(network, cell, said):
    batch = tiny.rows(cell.family)
    on = tiny.says(network, batch)
    with off(network):
        base = tiny.says(network, batch)
    assert not torch.equal(on, said)
    if "peft" in cell.traits or cell.readout != "head":  # where PEFT does not keep it, the head is changed
        assert torch.equal(base, said)
    assert torch.equal(tiny.says(network, batch), on)
