"""Losses over a large vocabulary, without all of its logits at once.

A batch of 8 x 512 tokens has 200 million logits over 49,000 words: gigabytes, as they are held as such, in
32 bits and as gradients. Here the head is applied to a part of the tokens at a time; once more on the way
back, if it learns itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tunesweep.config.runtime import LOGITS_AT_ONCE

AFTERWARDS = ("final_logit_softcapping", "logits_scaling", "logit_scale")  # Gemma, Granite, Cohere


def losses(body: nn.Module, compute: Callable[[], Tensor], targets: Tensor) -> Tensor:
    """Return the cross-entropy of each target in nats [targets]; `compute` returns their logits.

    In parts where there are many, the head is a plain linear layer, and the model takes what it says for its
    logits as it is; a model that shifts, scales or caps them afterwards has them all at once.
    """
    head: nn.Module = body.get_output_embeddings()  # type: ignore[operator]
    words = getattr(head, "out_features", 0)
    if _is_plain(head) and not _goes_on(body) and len(targets) * words > LOGITS_AT_ONCE:
        with _passed_over(head) as given:
            hidden = compute()
        if len(given) == 1 and given[0] is hidden:
            return _in_parts(head, hidden, targets, max(1, LOGITS_AT_ONCE // words))
        del hidden, given  # a model whose way of going on has a name that is not known here
    return _losses(compute(), targets)


def _goes_on(body: nn.Module) -> bool:
    """Whether a model changes its logits after the head, by the names that transformers has for it."""
    changed = any(getattr(body.config, name, None) not in (None, 1) for name in AFTERWARDS)
    return changed or hasattr(body, "final_logits_bias")


def _is_plain(head: nn.Module) -> TypeGuard[nn.Linear]:
    """Whether a layer is no more than a product: neither in 4 bits, nor wrapped, nor hooked."""
    return type(head) is nn.Linear and "forward" not in vars(head)


@contextmanager
def _passed_over(head: nn.Linear) -> Iterator[list[Tensor]]:
    """Let a layer return what it is given, and keep that."""
    given: list[Tensor] = []

    def forward(hidden: Tensor) -> Tensor:
        given.append(hidden)
        return hidden

    head.forward = forward  # type: ignore[assignment, method-assign]
    try:
        yield given
    finally:
        del head.forward


def _in_parts(head: nn.Linear, hidden: Tensor, targets: Tensor, size: int) -> Tensor:
    if not any(weight.requires_grad for weight in head.parameters()):
        found: Tensor = _OfFrozenHead.apply(hidden, head, targets, size)  # type: ignore[no-untyped-call]
        return found

    def of_part(part: Tensor, right: Tensor) -> Tensor:
        return _losses(head(part), right)

    parts = zip(torch.split(hidden, size), torch.split(targets, size), strict=True)
    if not torch.is_grad_enabled():
        return torch.cat([of_part(*part) for part in parts])
    return torch.cat([checkpoint(of_part, *part, use_reentrant=False) for part in parts])


class _OfFrozenHead(torch.autograd.Function):
    """Losses and their slopes in one go: of a head that does not learn, no logits are needed on the way back.

    The slope of a cross-entropy is the softmax less one at the target, times the head's weights; what is
    differentiated only scales it, token by token.
    """

    @staticmethod
    def forward(context: Any, hidden: Tensor, head: nn.Linear, targets: Tensor, size: int) -> Tensor:
        """Return the losses [tokens] of hidden states [tokens, width]."""
        losses, slopes = [], []
        for part, right in zip(torch.split(hidden, size), torch.split(targets, size), strict=True):
            logits = head(part)
            scores = nn.functional.log_softmax(logits.float(), dim=-1)
            losses.append(-scores.gather(1, right[:, None])[:, 0])
            if context.needs_input_grad[0]:
                slope = scores.exp_()
                slope[torch.arange(len(right), device=right.device), right] -= 1
                slopes.append((slope.to(logits.dtype) @ head.weight.to(logits.dtype)).to(hidden.dtype))
        if slopes:
            context.save_for_backward(torch.cat(slopes))
        return torch.cat(losses)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        """Return what the hidden states get."""
        (slopes,) = context.saved_tensors
        return slopes * gradients[0][:, None].to(slopes.dtype), None, None, None


def _losses(logits: Tensor, targets: Tensor) -> Tensor:
    return nn.functional.cross_entropy(logits.float(), targets, reduction="none")
