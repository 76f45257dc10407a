"""Trainable parameters of every hub model equal formulas over its config.json: full depth, no weights."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import torch

import tiny_cells as tiny
from hub_models import DEPTH, HUB, PUBLISHED, bare, described, read
from tunesweep.methods.attach import attach, parameter_counts
from tunesweep.models.readouts import Readout, Standard
from tunesweep.silence import quiet_libraries

RANK, VIRTUAL = 8, 20


@dataclass
class Shape:
    """The sizes that matter, from a config.json alone."""

    width: int  # of the residual stream
    query: int  # of all heads together
    value: int  # narrower under grouped-query attention
    inner: int  # of the feed-forward block
    depth: int  # of one stack
    attentions: int
    blocks: int  # feed-forward blocks

    @classmethod
    def of(cls, name: str) -> Shape:
        values, depth = described(name), DEPTH[name]
        width = values.get("hidden_size") or values["d_model"]
        heads = values.get("num_attention_heads") or values["num_heads"]
        each = values.get("head_dim") or values.get("d_kv") or width // heads
        shared = values.get("num_key_value_heads", heads)
        two_stacks = values.get("is_encoder_decoder", False)  # self in both, and across from one to the other
        return cls(
            width=width,
            query=heads * each,
            value=shared * each,
            inner=values.get("intermediate_size") or values["d_ff"],
            depth=depth,
            attentions=depth * (3 if two_stacks else 1),
            blocks=depth * (2 if two_stacks else 1),
        )


FORMULAS: dict[str, Callable[[Shape], int]] = {
    "lora": lambda s: s.attentions * RANK * ((s.width + s.query) + (s.width + s.value)),
    "ia3": lambda s: s.attentions * 2 * s.value + s.blocks * s.inner,
    "prefix_tuning": lambda s: VIRTUAL * s.depth * 2 * s.value,
    "prompt_tuning": lambda s: VIRTUAL * s.width,
}
READOUTS = {"encoder": "head", "decoder": "head", "encoder_decoder": "generate"}
KINDS = {"head": "AutoModelForSequenceClassification", "generate": "AutoModelForSeq2SeqLM"}
# DeBERTa's attention takes no prefix; an encoder-decoder's stands before what its decoder has written.
CASES = [
    (method, name)
    for name in HUB
    for method in FORMULAS
    if not (method == "prefix_tuning" and name.startswith("deberta"))
]


@cache
def full_depth(name: str, kind: str) -> torch.nn.Module:
    keys = [k for k in ("num_hidden_layers", "num_layers", "num_decoder_layers") if k in described(name)]
    return bare(name, kind, **dict.fromkeys(keys, DEPTH[name]))


def attached(method: str, name: str) -> tuple[Readout, Any]:
    config = tiny.composed_for(method, name, f"lora.r={RANK}")
    config.readout.name = READOUTS[config.model.family]
    with quiet_libraries():
        network = Standard(copy.deepcopy(full_depth(name, KINDS[config.readout.name])))
        attach(network, config)
    return network, config


@pytest.mark.parametrize(("method", "name"), CASES)
def test_adapters_are_as_large_as_the_formula_says_and_the_head_is_apart(method: str, name: str) -> None:
    network, config = attached(method, name)
    counts, whole = parameter_counts(network, config), full_depth(name, KINDS[config.readout.name])
    assert counts["adapter"] == FORMULAS[method](Shape.of(name))
    if method == "lora" and name in PUBLISHED:
        assert counts["adapter"] == PUBLISHED[name]
    heads = [whole.get_submodule(part) for part in read(name).head] if config.readout.name == "head" else []
    assert counts["head"] == sum(p.numel() for head in heads for p in head.parameters())
    assert counts["trainable"] == counts["adapter"] + counts["head"]
    assert counts["total"] == counts["adapter"] + sum(p.numel() for p in whole.parameters())


def test_the_two_published_numbers_that_everybody_knows() -> None:
    assert FORMULAS["lora"](Shape.of("llama2_7b")) == 4_194_304
    assert FORMULAS["lora"](Shape.of("roberta_large")) == 786_432
