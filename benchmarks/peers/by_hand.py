"""What both ways of writing it by hand have in common: the model with its adapter, and the score."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from bitsandbytes.nn import Linear4bit
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
from transformers import AutoModelForSequenceClassification, BitsAndBytesConfig

QUERY_VALUE = ("query", "value")


def four_bits(compute: torch.dtype) -> BitsAndBytesConfig:
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute,
        llm_int8_skip_modules=["classifier", "score"],  # a new head in four bits cannot be trained
    )


def adapted(
    folder: str,
    method: str,
    r: int,
    *,
    labels: int = 2,
    targets: tuple[str, ...] = QUERY_VALUE,
    compute: torch.dtype = torch.bfloat16,
    **settings: Any,
) -> Any:
    """Return the model with LoRA, on query and value unless told; `settings` go to `from_pretrained`."""
    four = {"quantization_config": four_bits(compute)} if method == "qlora" else {}
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=labels, **settings, **four)
    if four:
        for layer in model.modules():  # else scoring before training repacks it on some CPUs: nothing learns
            if isinstance(layer, Linear4bit):
                layer.support_avx512bf16_for_cpu = False
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    lora = LoraConfig(task_type="SEQ_CLS", r=r, lora_alpha=2 * r, target_modules=list(targets))
    return get_peft_model(model, lora)


def accuracy(scored: Any) -> dict[str, float]:
    return {"accuracy": float((np.argmax(scored.predictions, axis=-1) == scored.label_ids).mean())}
