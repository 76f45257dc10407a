"""Small random models: a stand-in, always called so, for families whose weights are not to be had."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from tunesweep.config import ModelConfig
from tunesweep.errors import BadConfig, suggest
from tunesweep.identity import digest
from tunesweep.models.folders import made_once
from tunesweep.models.tokenizer import tokenizer_fingerprint

# What is drawn has a language-model head, so every readout finds its weights in it.
WHOLE = {
    "encoder": "AutoModelForMaskedLM",
    "decoder": "AutoModelForCausalLM",
    "encoder_decoder": "AutoModelForSeq2SeqLM",
}


def drawn(model: ModelConfig, tokenizer: Any, seed: int, cache: Path) -> Path:
    """Return a folder with weights drawn from a seed, whatever the state of chance and whichever readout.

    Only a head is drawn where the model is loaded, as for every other model.
    """
    versions = [version(name) for name in ("torch", "transformers")]
    name = digest([model.family, model.architecture, tokenizer_fingerprint(tokenizer), seed, versions])
    return made_once(cache / "models" / f"random-{name}", lambda: _draw(model, tokenizer, seed))


def architecture(model: ModelConfig, tokenizer: Any) -> Any:
    """Return the transformers config, whose vocabulary and special tokens are the tokenizer's."""
    from transformers import AutoConfig

    said = dict(model.architecture)
    kind = str(said.pop("model_type"))
    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.cls_token_id
    try:
        known = AutoConfig.for_model(kind)
    except ValueError:
        raise BadConfig(
            f"model.architecture.model_type={kind} is unknown to transformers: use t5, bert or llama"
        ) from None
    for key in said:
        if not hasattr(known, key):
            options = suggest(key, known.to_dict())
            raise BadConfig(f"model.architecture.{key} is no option of {kind}: it has {options}")
    tokens = {
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": start,
        "decoder_start_token_id": tokenizer.pad_token_id,  # as T5 does
    }
    return AutoConfig.for_model(kind, **tokens, **said)


def _draw(model: ModelConfig, tokenizer: Any, seed: int) -> tuple[Any, ...]:
    import torch
    import transformers

    with torch.random.fork_rng(devices=[]):  # whoever finds the folder made has to see the same chance
        torch.manual_seed(seed)
        whole = getattr(transformers, WHOLE[model.family]).from_config(architecture(model, tokenizer))
    return whole, tokenizer
