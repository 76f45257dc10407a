"""The sizes of an architecture, from its config.json, as far as memory depends on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# What `model_type` stands for which build of a layer; others are not estimated.
BERTS, LLAMAS, T5S = (
    ("bert", "roberta", "xlm-roberta", "deberta-v2"),
    ("llama", "mistral", "gemma", "qwen2"),
    ("t5",),
)


@dataclass(frozen=True)
class Linear:
    """A linear layer that every layer of a stack has, and which of the layer's tensors it reads."""

    name: str  # its path in a layer, as target modules are matched
    inputs: int
    outputs: int
    reads: str  # layers that read one tensor share it
    bias: bool = False


@dataclass(frozen=True)
class Stack:
    """Layers of one build: an encoder, a decoder, or a decoder that also reads an encoder."""

    layers: int
    linears: tuple[Linear, ...]
    attentions: int = 1  # 2 where there is cross-attention


@dataclass(frozen=True)
class Shape:
    """An architecture."""

    kind: str  # model_type
    hidden: int
    inner: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    stacks: tuple[Stack, ...]
    gated: bool
    new_gelu: bool  # composed of single operations, each of which keeps its own
    tied: bool
    positions: int  # rows of embedding tables beside that of the vocabulary
    dropout: float

    @property
    def bert(self) -> bool:
        """Whether a layer has LayerNorms, behind its sums."""
        return self.kind in BERTS

    @property
    def width(self) -> int:
        """Return the width of all heads together."""
        return self.heads * self.head_dim


def read(config: Mapping[str, Any]) -> Shape | None:
    """Return the sizes in a config.json, or nothing where its architecture is unknown or incomplete."""
    builds = {BERTS: _bert, LLAMAS: _llama, T5S: _t5}
    for kinds, build in builds.items():
        if config.get("model_type") in kinds:
            try:
                return build(config)
            except (KeyError, TypeError, ValueError):
                return None
    return None


def _bert(config: Mapping[str, Any]) -> Shape:
    kind, h, inner = config["model_type"], int(config["hidden_size"]), int(config["intermediate_size"])
    deberta = kind == "deberta-v2"
    end = "_proj" if deberta else ""
    linears = (
        *(Linear(f"attention.self.{name}{end}", h, h, "states", True) for name in ("query", "key", "value")),
        Linear("attention.output.dense", h, h, "attended", True),
        Linear("intermediate.dense", h, inner, "middle", True),
        Linear("output.dense", inner, h, "active", True),
    )
    positions = int(config.get("max_position_embeddings") or 512)
    if deberta:
        positions = 2 * int(config.get("position_buckets") or 256)
    return Shape(
        **_heads(config, h),
        **_stacked(config, linears),
        gated=False,
        new_gelu=config.get("hidden_act") == "gelu_new",
        tied=True,
        positions=positions + int(config.get("type_vocab_size") or 0),
        dropout=float(config.get("hidden_dropout_prob") or 0),
    )


def _llama(config: Mapping[str, Any]) -> Shape:
    kind, h, inner = config["model_type"], int(config["hidden_size"]), int(config["intermediate_size"])
    heads = _heads(config, h)
    bias = bool(config.get("attention_bias")) or kind == "qwen2"
    wide, narrow = heads["heads"] * heads["head_dim"], heads["kv_heads"] * heads["head_dim"]
    linears = (
        Linear("self_attn.q_proj", h, wide, "states", bias),
        Linear("self_attn.k_proj", h, narrow, "states", bias),
        Linear("self_attn.v_proj", h, narrow, "states", bias),
        Linear("self_attn.o_proj", wide, h, "attended"),
        Linear("mlp.gate_proj", h, inner, "middle"),
        Linear("mlp.up_proj", h, inner, "middle"),
        Linear("mlp.down_proj", inner, h, "active"),
    )
    return Shape(
        **heads,
        **_stacked(config, linears),
        gated=True,
        new_gelu=False,
        tied=bool(config.get("tie_word_embeddings", kind == "gemma")),
        positions=0,
        dropout=float(config.get("attention_dropout") or 0),
    )


def _stacked(config: Mapping[str, Any], linears: tuple[Linear, ...]) -> dict[str, Any]:
    """Return what models of one stack name alike."""
    return {
        "kind": config["model_type"],
        "hidden": int(config["hidden_size"]),
        "inner": int(config["intermediate_size"]),
        "vocabulary": int(config["vocab_size"]),
        "stacks": (Stack(int(config["num_hidden_layers"]), linears),),
    }


def _t5(config: Mapping[str, Any]) -> Shape:
    h, inner, heads = int(config["d_model"]), int(config["d_ff"]), int(config["num_heads"])
    wide = heads * int(config["d_kv"])
    gated = str(config.get("feed_forward_proj", "relu")).startswith("gated")

    def attention(name: str, reads: str, remembers: str) -> tuple[Linear, ...]:
        return (
            Linear(f"{name}.q", h, wide, reads),
            *(Linear(f"{name}.{end}", h, wide, remembers) for end in "kv"),
            Linear(f"{name}.o", wide, h, f"attended by {name}"),
        )

    wide_in = ("wi_0", "wi_1") if gated else ("wi",)
    feed = (
        *(Linear(f"DenseReluDense.{name}", h, inner, "middle") for name in wide_in),
        Linear("DenseReluDense.wo", inner, h, "active"),
    )
    own = attention("SelfAttention", "states", "states")
    cross = attention("EncDecAttention", "between", "encoded")
    layers = int(config["num_layers"])
    return Shape(
        kind="t5",
        hidden=h,
        inner=inner,
        heads=heads,
        kv_heads=heads,
        head_dim=int(config["d_kv"]),
        vocabulary=int(config["vocab_size"]),
        stacks=(
            Stack(layers, own + feed),
            Stack(int(config.get("num_decoder_layers") or layers), own + cross + feed, 2),
        ),
        gated=gated,
        new_gelu=gated,  # T5 v1.1 means the composed one
        tied=bool(config.get("tie_word_embeddings", True)),
        positions=0,
        dropout=float(config.get("dropout_rate") or 0),
    )


def _heads(config: Mapping[str, Any], hidden: int) -> dict[str, Any]:
    heads = int(config["num_attention_heads"])
    return {
        "heads": heads,
        "kv_heads": int(config.get("num_key_value_heads") or heads),
        "head_dim": int(config.get("head_dim") or hidden // heads),
    }
