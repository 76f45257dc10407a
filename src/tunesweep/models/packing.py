"""A batch of texts in one row, without padding, and without a text seeing another.

Every layer works token by token, except attention, which is told where texts end. Its own products are
padded, text by text: on a CPU a mask over the whole row would cost its square. The edges travel in the place
of the mask, as whole numbers in four dimensions: transformers hands a mask of four on as it is, to every
layer, also where layers are computed twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from tunesweep.errors import BadConfig
from tunesweep.models.language import Causal, Places, picked, unwrapped

PACKED = "tunesweep_packed"  # the name of our attention to transformers
UNKNOWN = ("softcap", "s_aux", "position_bias")  # what some models add to attention, and ours does not have

PROBE = 8  # tokens of a text
LIMITS = {torch.float32: 1e-4}  # what another text before it may change in the spread of its logits: rounding
HALF = 0.03  # of 16 bits


class Row(NamedTuple):
    """Texts one after another, and what a model needs to keep them apart."""

    ids: Tensor  # [1, tokens]
    positions: Tensor  # [1, tokens], from zero in every text
    edges: Tensor  # [1, 1, 1, texts + 1]: where each begins, and the end of the last

    @classmethod
    def of(cls, texts: Sequence[Tensor]) -> Row:
        """Put texts, [tokens] each, into one row."""
        ids = torch.cat(list(texts))
        lengths = [len(text) for text in texts]
        positions = torch.cat([torch.arange(length, device=ids.device) for length in lengths])
        edges = torch.tensor([0, *lengths]).cumsum(0)  # on the host, where they are read as numbers
        return cls(ids[None], positions[None], edges[None, None, None])


class Packed(Causal):
    """A decoder whose texts stand in one row where answers are learned or scored; it writes as any other."""

    def answer_logits(self, body: nn.Module, ids: Tensor, mask: Tensor, answers: Sequence[Tensor]) -> Tensor:
        """See `Language.answer_logits`; FlashAttention finds the edges in the positions by itself."""
        lengths = mask.sum(1).tolist()
        parts = zip(ids, lengths, answers, strict=True)
        row = Row.of([torch.cat((text[:length], answer[:-1])) for text, length, answer in parts])
        starts = row.edges.flatten().tolist()
        columns = torch.cat(
            [
                start + length - 1 + torch.arange(len(answer), device=ids.device)
                for start, length, answer in zip(starts, lengths, answers, strict=False)
            ]
        )
        with picked(body, Places(torch.zeros_like(columns), columns), row.ids.shape[1]):
            return _logits(body, row)


def _logits(body: nn.Module, row: Row) -> Tensor:
    ours = unwrapped(body).config._attn_implementation == PACKED  # type: ignore[union-attr]
    logits: Tensor = body(
        input_ids=row.ids,
        position_ids=row.positions,
        attention_mask=row.edges if ours else None,
        use_cache=False,
    ).logits
    return logits


@torch.no_grad()
def check(body: nn.Module, device: torch.device, compute: torch.dtype) -> None:
    """Refuse a model in which a text of a row depends on the one before: not all layers go token by token."""
    name, words = type(body).__name__, body.get_input_embeddings().num_embeddings  # type: ignore[operator]
    first, other, second = (torch.arange(3 * PROBE, device=device) % words).split(PROBE)
    try:
        with torch.autocast(device.type, compute, enabled=compute != torch.float32):
            one, two = (_logits(body, Row.of([text, second]))[0, PROBE:] for text in (first, other))
    except BadConfig:
        raise
    except Exception as error:
        raise BadConfig(refusal(name, f"it cannot read that ({error})")) from error
    if (one - two).abs().max() > LIMITS.get(one.dtype, HALF) * one.float().std():
        raise BadConfig(refusal(name, "a text there depends on the one before it"))


def refusal(name: str, why: str) -> str:
    """Return the sentence that a model's texts are not packed."""
    return f"runtime.packing=true puts texts of {name} into one row, but {why}: set runtime.packing=false"


def register() -> None:
    """Make our attention known to transformers; whatever is not packed goes to PyTorch's fused one."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    AttentionInterface.register(PACKED, attend)
    AttentionMaskInterface.register(PACKED, sdpa_mask)


def attend(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **named: Any
) -> tuple[Tensor, None]:
    """Return causal attention [1, tokens, heads, size] of a row's texts, each to itself, and no weights.

    query is [1, heads, tokens, size]; key and value may have fewer heads, each for several of the query's.
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if attention_mask is None or attention_mask.is_floating_point() or attention_mask.dtype == torch.bool:
        whole: Any = sdpa_attention_forward(module, query, key, value, attention_mask, **named)
        return whole  # type: ignore[no-any-return]
    edges: list[int] = attention_mask.flatten().tolist()
    lengths = [end - start for start, end in pairwise(edges)]
    _check(module, named, max(lengths))
    dropout = named.get("dropout") or 0.0
    query, key, value = (_by_text(states, lengths) for states in (query, key, value))
    product = _eager if query.device.type == "cpu" else _fused
    found = product(query, key, value, named.get("scaling"), dropout if module.training else 0.0)
    texts = zip(found.transpose(1, 2), lengths, strict=True)
    return torch.cat([text[:length] for text, length in texts])[None], None


def _check(module: nn.Module, named: dict[str, Any], longest: int) -> None:
    odd = [name for name in UNKNOWN if named.get(name) is not None]
    chunk = getattr(getattr(module, "config", None), "attention_chunk_size", None)  # of Llama 4
    window = named.get("sliding_window") or chunk
    if window is not None and longest > window:
        odd.append(f"a sliding window of {window} tokens")
    if odd:
        raise BadConfig(
            f"runtime.packing=true knows nothing of what {type(module).__name__} does besides attention "
            f"({', '.join(odd)}): set runtime.packing=false"
        )


def _by_text(states: Tensor, lengths: list[int]) -> Tensor:
    """Return [texts, heads, longest, size] of [1, heads, tokens, size], padded on the right."""
    texts = torch.split(states[0].transpose(0, 1), lengths)
    return pad_sequence(list(texts), batch_first=True).transpose(1, 2)


def _eager(query: Tensor, key: Tensor, value: Tensor, scale: float | None, dropout: float) -> Tensor:
    """Attention in plain products: on a CPU its way back was twice as fast as PyTorch's fused one."""
    groups, longest = query.shape[1] // key.shape[1], query.shape[2]
    if groups > 1:
        key, value = (states.repeat_interleave(groups, 1) for states in (key, value))
    scores = query @ key.transpose(2, 3) * (query.shape[-1] ** -0.5 if scale is None else scale)
    later = torch.ones(longest, longest, dtype=torch.bool, device=query.device).triu(1)
    weights = scores.masked_fill(later, torch.finfo(scores.dtype).min).softmax(-1, dtype=torch.float32)
    return nn.functional.dropout(weights.to(query.dtype), dropout) @ value


def _fused(query: Tensor, key: Tensor, value: Tensor, scale: float | None, dropout: float) -> Tensor:
    """PyTorch's own, without a mask: nothing that is causal looks at padding on the right."""
    return nn.functional.scaled_dot_product_attention(
        query, key, value, dropout_p=dropout, is_causal=True, scale=scale, enable_gqa=True
    )
