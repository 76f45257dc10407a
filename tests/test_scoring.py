"""One loop looks at a network for every score: in order, at rest, in the precision asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tunesweep import scoring


class Counting(torch.nn.Module):
    """Says of each example its own value, and remembers in which state it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(4, 4))
        self.states: list[tuple[bool, bool, torch.dtype]] = []

    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        product = torch.ones(len(batch["index"]), 4) @ self.weight
        self.states.append((self.training, torch.is_grad_enabled(), product.dtype))
        return batch["value"]

    def generate(self, batch: dict[str, torch.Tensor], longest: int) -> list[list[int]]:
        self(batch)
        return [[int(value)] * longest for value in batch["value"]]


def batches() -> list[dict[str, torch.Tensor]]:
    """Return five examples out of order; example i has the value 10 i."""
    return [{"index": torch.tensor(i), "value": 10 * torch.tensor(i)} for i in ([4, 0], [2], [3, 1])]


def look(network: Any, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    value = network(batch)
    return {"value": value.bfloat16(), "pair": torch.stack((value, value + 1), 1)}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_examples_come_in_their_order_and_the_network_is_left_as_it_was(training, precision, dtype):
    network: Any = Counting().train(training)
    seen = scoring.score(network, batches(), precision, look)
    assert seen["value"].tolist() == [0, 10, 20, 30, 40]
    assert seen["pair"].tolist() == [[v, v + 1] for v in (0, 10, 20, 30, 40)]
    assert {array.dtype for array in seen.values()} == {np.dtype("float32")}
    assert network.states == [(False, False, dtype)] * 3
    assert network.training is training


def test_texts_come_in_their_order_too():
    network: Any = Counting()
    assert scoring.write(network, batches(), "fp32", 2) == [[0, 0], [10, 10], [20, 20], [30, 30], [40, 40]]
    assert network.states == [(False, False, torch.float32)] * 3
    assert network.training


def test_a_network_trains_again_after_an_error():
    network: Any = Counting()
    with pytest.raises(ZeroDivisionError), scoring.at_rest(network, "fp32"):
        raise ZeroDivisionError
    assert network.training
