"""The low-rank updates of all runs of a group as one batched product: by themselves each is too small to pay.

A run's update costs six products with one narrow side, forwards and backwards, and on a CPU each costs more
to begin than to compute. Here ranks are padded with zeros to the largest, and runs are a dimension: what one
run's rows hold, a NaN too, reaches no other's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


class Updates(torch.autograd.Function):
    """B A x, scaled, of LoRA (arXiv:2106.09685) for rows that stand run after run, as many of each."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, scales: Sequence[float], *factors: Tensor) -> Tensor:
        """Return [rows, ..., out] of inputs [rows, ..., in]; `factors` are A [rank, in] of each run, then B.

        Products are computed in the dtype of the inputs.
        """
        firsts, seconds = factors[: len(scales)], factors[len(scales) :]
        first = _stacked(firsts, inputs.dtype)
        scaled = [second.T * scale for second, scale in zip(seconds, scales, strict=True)]
        second = _stacked(scaled, inputs.dtype)
        rows = inputs.reshape(len(scales), -1, inputs.shape[-1])
        hidden = torch.bmm(rows, first.transpose(1, 2))
        ctx.save_for_backward(rows, hidden, first, second)
        ctx.shape, ctx.scales, ctx.ranks = inputs.shape, scales, [len(factor) for factor in firsts]
        ctx.dtypes = [factor.dtype for factor in factors]
        return torch.bmm(hidden, second).view(*inputs.shape[:-1], second.shape[-1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the inputs and of every factor."""
        rows, hidden, first, second = ctx.saved_tensors
        gradient = gradients[0].reshape(len(ctx.ranks), -1, second.shape[-1])
        inner = torch.bmm(gradient, second.transpose(1, 2))
        of_inputs = torch.bmm(inner, first).view(ctx.shape) if ctx.needs_input_grad[0] else None
        of_first = torch.bmm(inner.transpose(1, 2), rows)
        of_second = torch.bmm(hidden.transpose(1, 2), gradient)
        runs = list(enumerate(ctx.ranks))
        found = [of_first[run, :rank] for run, rank in runs]
        found += [of_second[run, :rank].T * ctx.scales[run] for run, rank in runs]
        return of_inputs, None, *(tensor.to(dtype) for tensor, dtype in zip(found, ctx.dtypes, strict=True))


def _stacked(factors: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    """Return [runs, largest rank, width] of factors [rank, width], zeros where a rank is smaller."""
    shape = len(factors), max(map(len, factors)), factors[0].shape[1]
    whole = factors[0].new_zeros(shape, dtype=dtype)
    for run, factor in enumerate(factors):
        whole[run, : len(factor)] = factor
    return whole
