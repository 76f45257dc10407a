"""Texts in one row: the losses and gradients of each alone, also against transformers' own mask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as t
from torch import Tensor

import samples
from fused import pairs
from models.test_generation import ANSWERS, PROMPTS, answered
from tiny import END, PAD, SIZES, VOCABULARY, batch_of, likelihood
from tunesweep import capabilities
from tunesweep.errors import BadConfig
from tunesweep.models import backbone, packing
from tunesweep.models.generation import Generator
from tunesweep.models.language import Causal, Language
from workplace import tiny

ROWS = [p + a[:-1] for p, a in zip(PROMPTS, ANSWERS, strict=True)]
GROUPED = {**SIZES, "hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2}
GPT2 = {
    "n_embd": 16,
    "n_layer": 2,
    "n_head": 2,
    "initializer_range": 0.4,
    "bos_token_id": END,
    "eos_token_id": END,
}
GPT2 |= dict.fromkeys(("attn_pdrop", "embd_pdrop", "resid_pdrop"), 0.0)
MODELS: dict[str, Any] = {
    "llama": lambda how: t.LlamaForCausalLM(t.LlamaConfig(**_whole(how, GROUPED))),
    "qwen3": lambda how: t.Qwen3ForCausalLM(t.Qwen3Config(**_whole(how, GROUPED), head_dim=8)),
    "mistral": lambda how: t.MistralForCausalLM(t.MistralConfig(**_whole(how, GROUPED), sliding_window=16)),
    "gemma": lambda how: t.GemmaForCausalLM(t.GemmaConfig(**_whole(how, GROUPED), head_dim=8)),
    "gpt2": lambda how: t.GPT2LMHeadModel(t.GPT2Config(**_whole(how, GPT2))),
}


def _whole(how: str, sizes: dict[str, Any]) -> dict[str, Any]:
    return {"vocab_size": VOCABULARY, "attn_implementation": how, **sizes}


def model(name: str, how: str) -> Any:
    packing.register()
    torch.manual_seed(0)
    return MODELS[name](how).eval()


def learned(body: Any, language: Language) -> tuple[Tensor, dict[str, Tensor]]:
    """Return each answer's loss, and the gradients of their sum."""
    losses, _ = Generator(body, language, ends=[END], pad=PAD).train().nll(answered(extra=3))
    losses.sum().backward()
    return losses.detach(), {n: p.grad for n, p in body.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", MODELS)
def test_packed_is_padded(name: str) -> None:
    losses, gradients = learned(model(name, "eager"), Causal())
    packed, again = learned(model(name, packing.PACKED), packing.Packed())
    torch.testing.assert_close(packed, losses, rtol=1e-5, atol=1e-5)
    assert again.keys() == gradients.keys()
    for key, gradient in gradients.items():
        torch.testing.assert_close(again[key], gradient, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_each_text_is_what_it_is_alone(name: str) -> None:
    body = model(name, packing.PACKED)
    with torch.no_grad():
        losses, _ = Generator(body, packing.Packed(), ends=[END], pad=PAD).eval().nll(answered())
    told = [-likelihood(model(name, "eager"), p, a) for p, a in zip(PROMPTS, ANSWERS, strict=True)]
    assert losses.tolist() == pytest.approx(told, abs=1e-4)


def test_our_attention_is_transformers_own_mask_over_the_row() -> None:
    row = packing.Row.of([torch.tensor(text) for text in ROWS])
    with torch.no_grad():
        # With positions and no mask at all, transformers makes a mask of blocks by itself.
        theirs = model("llama", "eager")(input_ids=row.ids, position_ids=row.positions, use_cache=False)
        ours = model("llama", packing.PACKED)(
            input_ids=row.ids, position_ids=row.positions, attention_mask=row.edges, use_cache=False
        )
    torch.testing.assert_close(ours.logits, theirs.logits, rtol=1e-5, atol=1e-5)


def test_the_way_of_a_gpu_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    losses, gradients = learned(model("llama", packing.PACKED), packing.Packed())
    monkeypatch.setattr(packing, "_eager", packing._fused)
    fused, again = learned(model("llama", packing.PACKED), packing.Packed())
    torch.testing.assert_close(fused, losses, rtol=1e-5, atol=1e-5)
    for key, gradient in gradients.items():
        torch.testing.assert_close(again[key], gradient, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:.gradient_checkpointing_enable:FutureWarning")
def test_layers_that_are_computed_twice_keep_the_edges() -> None:
    losses, gradients = learned(model("llama", packing.PACKED), packing.Packed())
    body = model("llama", packing.PACKED)
    body.gradient_checkpointing_enable({"use_reentrant": False})
    twice, again = learned(body, packing.Packed())
    torch.testing.assert_close(twice, losses)
    for key, gradient in gradients.items():
        torch.testing.assert_close(again[key], gradient)


def test_no_layer_sees_padding() -> None:
    body, seen = model("llama", packing.PACKED), []
    body.model.layers[0].mlp.register_forward_hook(lambda _, inputs, output: seen.append(output.shape[:2]))
    learned(body, packing.Packed())
    assert seen == [(1, sum(map(len, ROWS)))]


def test_what_is_not_packed_is_read_as_ever() -> None:
    batch = batch_of(PROMPTS)
    with torch.no_grad():
        ours, theirs = (model("llama", how)(**batch).logits for how in (packing.PACKED, "sdpa"))
    assert torch.equal(ours, theirs)


def test_a_window_that_is_too_short_is_refused() -> None:
    body = model("mistral", packing.PACKED)
    for layer in body.model.layers:
        layer.self_attn.sliding_window = body.config.sliding_window = 4
    with pytest.raises(BadConfig, match=r"a sliding window of 4 tokens\): set runtime.packing=false"):
        learned(body, packing.Packed())


@pytest.mark.parametrize("words", [samples.answers, samples.sums, samples.counting])
def test_a_run_comes_to_the_same(make_config: Any, tmp_path: Path, words: Any) -> None:
    shared = ("model=random_llama", *words(tmp_path), *tiny("random_llama"), "train.epochs=2")
    ways = {
        name: pairs.alone(
            pairs.points(make_config, tmp_path / name, [*shared, *own], ["method=lora lora.r=2"])
        )
        for name, own in {"padded": (), "packed": ("runtime.packing=true",)}.items()
    }
    padded, packed = (side.records[0] for side in ways.values())
    assert (padded.failure, packed.failure) == (None, None)
    assert (padded.runtime["packing"], packed.runtime["packing"]) == (False, True)
    assert padded.run_id == packed.run_id
    assert packed.main_metric == pytest.approx(padded.main_metric, rel=1e-4)
    for mine, theirs in zip(packed.history, padded.history, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(
    ("words", "packs"),
    [
        ("model=smollm2_135m dataset=alpaca method=lora", True),
        ("model=smollm2_135m readout=generate method=ia3", True),
        ("model=smollm2_135m readout=label_words method=lora", False),
        ("model=random_t5 dataset=alpaca method=lora", False),
        ("model=smollm2_135m dataset=alpaca method=prompt_tuning", False),
        ("model=smollm2_135m readout=generate method=few_shot method.shots.k=2", False),
    ],
)
def test_what_is_packed(make_config: Any, words: str, packs: bool) -> None:
    config = make_config(*words.split(), "runtime.packing=true")
    assert capabilities.packs(config) is packs
    assert (backbone.attention(config, torch.device("cpu")) == packing.PACKED) is packs


def test_another_attention_is_refused(make_config: Any) -> None:
    with pytest.raises(BadConfig, match=r"which is not sdpa: leave runtime.attention at auto"):
        make_config("runtime.packing=true", "runtime.attention=sdpa")
