"""Losses over a vocabulary in parts: the same numbers and gradients as all at once."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from models.test_generation import answered, generator
from tiny import PAD, SIZES, VOCABULARY, tiny, wrapped
from tunesweep.models import token_losses

TOKENS = 7  # of all answers


def learned(model: Any, family: str) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the losses, and the gradient of everything that has one."""
    model.zero_grad()
    losses, _ = generator(model, family).nll(answered())
    losses.sum().backward()
    return losses.detach(), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return how many rows of logits the head of a model is asked for at a time."""

    def watch(model: Any) -> list[int]:
        rows: list[int] = []
        head = model.get_output_embeddings()
        head.register_forward_hook(lambda _, inputs, output: rows.append(len(inputs[0])))
        monkeypatch.setattr(token_losses, "LOGITS_AT_ONCE", 3 * VOCABULARY)
        return rows

    return watch


@pytest.mark.parametrize("method", [None, "lora"])
@pytest.mark.parametrize("family", ["decoder", "encoder_decoder"])
def test_parts_are_the_whole(family: str, method: str | None, asked: Any) -> None:
    model = tiny(family) if method is None else wrapped(family, method)
    losses, gradients = learned(model, family)
    rows = asked(model)
    in_parts, again = learned(model, family)
    learns = model.get_output_embeddings().weight.requires_grad  # else slopes are known there and then
    there, back = [3, 3, 1], [1, 3, 3]
    assert [count for count in rows if count != TOKENS] == (there + back if learns else there)
    torch.testing.assert_close(in_parts, losses)
    assert again.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(again[name], gradient, rtol=1e-5, atol=1e-4)


def test_scoring_goes_by_parts_too(asked: Any) -> None:
    model = tiny("decoder")
    with torch.no_grad():
        whole, _ = generator(model, "decoder").nll(answered())
        rows = asked(model)
        in_parts, _ = generator(model, "decoder").nll(answered())
    assert [count for count in rows if count != TOKENS] == [3, 3, 1]
    torch.testing.assert_close(in_parts, whole)


def capping() -> Any:
    sizes = SIZES | {"vocab_size": VOCABULARY, "head_dim": 8, "num_key_value_heads": 2}
    config = transformers.Gemma2Config(final_logit_softcapping=0.05, **sizes)
    return transformers.Gemma2ForCausalLM(config), "decoder"


def shifting() -> Any:
    sizes = {f"{part}_{name}": 2 for part in ("encoder", "decoder") for name in ("layers", "attention_heads")}
    sizes |= {"encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "d_model": 16}
    config = transformers.BartConfig(vocab_size=VOCABULARY, decoder_start_token_id=PAD, **sizes)
    model = transformers.BartForConditionalGeneration(config)
    model.final_logits_bias += torch.linspace(-1, 1, VOCABULARY)
    return model, "encoder_decoder"


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("make", [capping, shifting])
def test_a_model_that_changes_its_logits_afterwards_has_them_all_at_once(
    make: Any, known: bool, asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    model, family = make()
    model.eval()
    losses, gradients = learned(model, family)
    rows = asked(model)
    if make is capping and not known:  # as a model of a kind that nobody has thought of
        monkeypatch.setattr(token_losses, "AFTERWARDS", ())
    again, same = learned(model, family)
    assert set(rows) == {TOKENS}
    torch.testing.assert_close(again, losses)
    for name, gradient in gradients.items():
        torch.testing.assert_close(same[name], gradient)
