"""All updates at once are each run's own: values and gradients as PEFT computes them one by one."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig
from peft.tuners.lora import Linear
from torch import Tensor, nn

from tunesweep.fused.low_rank import Updates

WIDTH, OUT, ROWS, TOKENS = 12, 8, 3, 5
RANKS = {1: 2.0, 4: 0.5, 7: 1.25}  # and how each update is scaled


def layers() -> list[Linear]:
    """Return PEFT's layers of these ranks, B not zero."""
    found = []
    for rank, scale in RANKS.items():
        config = LoraConfig(r=rank, lora_alpha=1)
        layer = Linear(nn.Linear(WIDTH, OUT, bias=False), "default", config, r=rank, lora_alpha=1)
        layer.scaling["default"] = scale
        nn.init.normal_(layer.lora_B["default"].weight)
        found.append(layer)
    return found


def factors(found: list[Linear]) -> list[Tensor]:
    return [layer.lora_A["default"].weight for layer in found] + [
        layer.lora_B["default"].weight for layer in found
    ]


def at_once(found: list[Linear], inputs: Tensor) -> Tensor:
    updates: Tensor = Updates.apply(inputs, list(RANKS.values()), *factors(found))
    return updates


def test_updates_and_gradients_are_pefts() -> None:
    torch.manual_seed(0)
    found = layers()
    inputs = torch.randn(len(RANKS) * ROWS, TOKENS, WIDTH, requires_grad=True)
    weights = torch.randn(len(RANKS) * ROWS, TOKENS, OUT)
    mine = at_once(found, inputs)
    (mine * weights).sum().backward()
    got = [inputs.grad, *(factor.grad for factor in factors(found))]
    inputs.grad = None
    for factor in factors(found):
        factor.grad = None
    parts = zip(found, inputs.split(ROWS), strict=True)
    theirs = torch.cat([layer(part) - layer.base_layer(part) for layer, part in parts])
    (theirs * weights).sum().backward()
    torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)
    for one, other in zip(got, [inputs.grad, *(factor.grad for factor in factors(found))], strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(1)
    inputs = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    shapes = ((1, 3), (2, 3), (5, 1), (5, 2))
    given = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(lambda x, *ab: Updates.apply(x, [0.5, 3.0], *ab), (inputs, *given))


@pytest.mark.parametrize("where", ["weights", "inputs"])
def test_what_one_run_has_ruined_reaches_no_other(where: str) -> None:
    found = layers()
    inputs = torch.randn(len(RANKS) * ROWS, TOKENS, WIDTH)
    if where == "weights":
        found[1].lora_B["default"].weight.data.fill_(torch.nan)
    else:
        inputs[ROWS : 2 * ROWS] = torch.inf
    updates = at_once(found, inputs)
    updates.split(ROWS)[0].sum().backward()
    assert [bool(part.isfinite().all()) for part in updates.split(ROWS)] == [True, False, True]
    assert bool(found[0].lora_A["default"].weight.grad.isfinite().all())


def test_nothing_below_the_first_adapter_is_differentiated() -> None:
    found = layers()
    inputs = torch.randn(len(RANKS) * ROWS, TOKENS, WIDTH)
    at_once(found, inputs).sum().backward()
    assert inputs.grad is None
    assert all(factor.grad is not None for factor in factors(found))
