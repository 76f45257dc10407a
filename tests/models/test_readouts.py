"""How classes are read off, against plain loops."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tunesweep.models.readouts import POOLINGS, Linear


@pytest.fixture
def hidden() -> torch.Tensor:
    return torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0))


LENGTHS = (5, 1, 3)
MASK = torch.tensor([[1] * n + [0] * (5 - n) for n in LENGTHS])


@pytest.mark.parametrize("name", ["cls", "last", "mean"])
def test_pooling_reads_real_tokens_only(hidden, name):
    expected = {
        "cls": [row[0] for row in hidden],
        "last": [row[n - 1] for row, n in zip(hidden, LENGTHS, strict=True)],
        "mean": [sum(row[:n]) / n for row, n in zip(hidden, LENGTHS, strict=True)],
    }
    torch.testing.assert_close(POOLINGS[name](hidden, MASK), torch.stack(expected[name]))


@pytest.mark.parametrize("name", ["last", "mean"])
def test_what_stands_in_the_padding_does_not_matter(hidden, name):
    spoiled = torch.where(MASK.bool()[..., None], hidden, 1e6)
    assert torch.equal(POOLINGS[name](hidden, MASK), POOLINGS[name](spoiled, MASK))


class Body(torch.nn.Module):
    """Returns its embeddings: enough of a model for a head."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(10, 4)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        from types import SimpleNamespace

        return SimpleNamespace(last_hidden_state=self.embed(input_ids).bfloat16())


def test_a_linear_readout_is_a_linear_layer_in_32_bits_on_the_pooled_state():
    readout = Linear(Body(), 4, 3, "mean")
    ids = torch.tensor([[1, 2, 3], [4, 0, 0]])
    logits = readout({"input_ids": ids, "attention_mask": torch.tensor([[1, 1, 1], [1, 0, 0]])})
    assert logits.dtype == torch.float32
    assert readout.head is not None
    state = readout.body.embed.weight[4].bfloat16().float()
    torch.testing.assert_close(logits[1], readout.head.weight @ state + readout.head.bias)
