"""Models that cannot be packed are refused before anything is learned, whatever keeps them from it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as t

from tiny import END, PAD, SIZES, VOCABULARY
from tunesweep.errors import BadConfig
from tunesweep.models import packing

WORDS = {"vocab_size": VOCABULARY, "pad_token_id": PAD, "bos_token_id": END, "eos_token_id": END}
LAYERS = ["conv", "full_attention"]
MODELS: dict[str, tuple[Any, str]] = {
    "lfm2": (
        t.Lfm2Config(**WORDS, **SIZES, num_key_value_heads=1, layer_types=LAYERS),
        "depends on the one before",
    ),
    "bloom": (t.BloomConfig(**WORDS, hidden_size=16, n_layer=2, n_head=2), "it cannot read that"),
}


def built(config: Any) -> Any:
    packing.register()
    torch.manual_seed(0)
    return t.AutoModelForCausalLM.from_config(config, attn_implementation=packing.PACKED).eval()


@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_mixes_texts_is_refused(name: str) -> None:
    config, reason = MODELS[name]
    with pytest.raises(BadConfig, match=f"{reason}.*set runtime.packing=false"):
        packing.check(built(config), torch.device("cpu"), torch.float32)


@pytest.mark.parametrize("compute", [torch.float32, torch.bfloat16])
def test_a_plain_decoder_is_not(compute: torch.dtype) -> None:
    packing.check(built(t.LlamaConfig(**WORDS, **SIZES)), torch.device("cpu"), compute)


def test_a_chunk_that_is_too_short_is_refused() -> None:
    config = t.Llama4TextConfig(
        **WORDS, **SIZES, head_dim=8, num_key_value_heads=2, intermediate_size_mlp=32, num_local_experts=2
    )
    config.attention_chunk_size = 4
    with pytest.raises(BadConfig, match="a sliding window of 4 tokens"):
        packing.check(built(config), torch.device("cpu"), torch.float32)
