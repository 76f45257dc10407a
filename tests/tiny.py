"""Random models of two layers: they know nothing, and their arithmetic is real."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tunesweep.silence import quiet_libraries

# Large weights: with the usual ones attention is nearly even, and a wrong position or mask would not show.
SIZES = {
    "initializer_range": 0.4,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
VOCABULARY, PAD, END, MASK, CLOSING = 50, 0, 1, 2, 3


def tiny(family: str) -> Any:
    """Return a Llama, a T5 or a BERT with a language-model head, in eval mode."""
    import transformers as t

    torch.manual_seed(0)
    if family == "decoder":
        return t.LlamaForCausalLM(t.LlamaConfig(vocab_size=VOCABULARY, **SIZES)).eval()
    if family == "encoder":
        return t.BertForMaskedLM(
            t.BertConfig(vocab_size=VOCABULARY, attn_implementation="eager", **SIZES)
        ).eval()
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_heads": 2, "num_layers": 2}
    tokens = {"pad_token_id": PAD, "eos_token_id": END, "decoder_start_token_id": PAD}
    return t.T5ForConditionalGeneration(t.T5Config(vocab_size=VOCABULARY, **sizes, **tokens)).eval()


def wrapped(family: str, method: str) -> Any:
    """Return such a model with a PEFT method whose weights are no longer zero."""
    import peft

    kinds = {
        "lora": peft.LoraConfig,
        "prefix": peft.PrefixTuningConfig,
        "prompt": peft.PromptTuningConfig,
        "p_tuning": peft.PromptEncoderConfig,
    }
    own: dict[str, Any] = {"num_virtual_tokens": 3}
    if method == "lora":
        own = {"r": 2, "target_modules": ["q", "v"] if family == "encoder_decoder" else ["q_proj", "v_proj"]}
    task = {"decoder": "CAUSAL_LM", "encoder_decoder": "SEQ_2_SEQ_LM"}[family]
    with quiet_libraries():
        model: Any = peft.get_peft_model(tiny(family), kinds[method](task_type=task, **own))
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter, std=0.5 if "lora" in name else 1.0)
    return model.eval()


def batch_of(rows: list[list[int]], extra: int = 0, **columns: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return rows padded on the right, by `extra` more than needed."""
    width = max(map(len, rows)) + extra
    ids, mask = torch.full((len(rows), width), PAD), torch.zeros(len(rows), width, dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, : len(row)], mask[number, : len(row)] = torch.tensor(row), 1
    return {"input_ids": ids, "attention_mask": mask} | columns


def next_logits(model: Any, prompt: list[int], written: list[int]) -> torch.Tensor:
    """Return the logits of the next token [vocabulary]: one row alone, no cache, no padding."""
    with torch.no_grad():
        if model.config.is_encoder_decoder:
            start = torch.tensor([[model.config.decoder_start_token_id, *written]])
            logits = model(input_ids=torch.tensor([prompt]), decoder_input_ids=start, use_cache=False).logits
        else:
            ids = torch.tensor([[*prompt, *written]])
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits
    last: torch.Tensor = logits[0, -1].float()
    return last


def likelihood(model: Any, prompt: list[int], word: list[int]) -> float:
    """Sum the log-probabilities of a word's tokens, each asked for on its own."""
    steps = [next_logits(model, prompt, word[:place]).log_softmax(-1)[t] for place, t in enumerate(word)]
    return float(sum(steps))
