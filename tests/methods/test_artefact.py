"""What a run keeps of its weights loads without us, and gives the predictions of the record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import Linear
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer, BitsAndBytesConfig

from tunesweep.config import RunConfig
from tunesweep.models import sources
from tunesweep.point import run
from tunesweep.silence import quiet_libraries
from workplace import FEW

FP32 = (*FEW, "train.precision=fp32", "train.lr=5e-3", "runtime.keep=adapter")


class Kept:
    """A run's predictions and adapter, as a user finds them in the store."""

    def __init__(self, config: RunConfig) -> None:
        record = run(config)
        assert record.status == "succeeded", record.failure
        store = Path(config.runtime.store)
        self.folder = store / record.artefacts["adapter"]
        self.predictions = pd.read_parquet(store / record.artefacts["predictions"])
        self.files = {path.name for path in self.folder.iterdir()}
        self.base = str(sources.locate(config.model))
        self.texts = texts(config, list(self.predictions["id"]))


def texts(config: RunConfig, ids: list[str]) -> list[str]:
    from tunesweep.data.readers import load

    test = load(config.dataset, config.seeds.split).test
    assert test.ids == ids
    return list(test.inputs)


def plain_probabilities(kept: Kept, logits: Any) -> np.ndarray:
    """Score the texts one by one, as any user of transformers would."""
    tokenizer, rows = AutoTokenizer.from_pretrained(kept.base), []
    for text in kept.texts:
        batch = tokenizer(text, truncation=True, max_length=48, return_tensors="pt")
        with torch.no_grad():
            rows.append(torch.softmax(logits(batch)[0], -1).numpy())
    return np.stack(rows)


def assert_same(kept: Kept, found: np.ndarray, tolerance: float = 1e-4) -> None:
    written = kept.predictions[["p:fresh", "p:rotten"]].to_numpy()
    assert written.std() > 0.01  # an untrained head would say one half of everything
    np.testing.assert_allclose(found, written, atol=tolerance)
    names = np.array(["fresh", "rotten"])[found.argmax(1)]
    clear = np.abs(written[:, 0] - 0.5) > tolerance
    assert (names == kept.predictions["prediction"])[clear].all()


@pytest.mark.parametrize(
    "method", ["lora", *(pytest.param(name, marks=pytest.mark.slow) for name in ("dora", "qlora"))]
)
def test_an_adapter_loads_with_peft_alone(make_config, method):
    from peft import PeftModel

    kept = Kept(make_config(f"method={method}", *FP32))
    assert kept.files == {"adapter_config.json", "adapter_model.safetensors", "README.md"}
    card = (kept.folder / "README.md").read_text() + (kept.folder / "adapter_config.json").read_text()
    assert "/tmp/" not in card.replace(kept.base, "")  # the base is the only folder it names
    four_bit = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        llm_int8_skip_modules=["classifier"],
    )
    extra = {"quantization_config": four_bit} if method == "qlora" else {}
    with quiet_libraries():
        base = AutoModelForSequenceClassification.from_pretrained(kept.base, num_labels=2, **extra)
        model = PeftModel.from_pretrained(base, str(kept.folder)).eval()
        # Here bitsandbytes computes in bf16 where the CPU can, whatever the base is told.
        tolerance = 2e-3 if method == "qlora" else 1e-4
        assert_same(kept, plain_probabilities(kept, lambda batch: model(**batch).logits), tolerance)


@pytest.mark.parametrize("method", ["bitfit", pytest.param("head_only", marks=pytest.mark.slow)])
def test_what_changed_loads_with_safetensors_alone(make_config, method):
    kept = Kept(make_config(f"method={method}", *FP32))
    assert kept.files == {"trained.safetensors"}
    with quiet_libraries():
        model = AutoModelForSequenceClassification.from_pretrained(kept.base, num_labels=2).eval()
        state = {
            k.removeprefix("body."): v for k, v in load_file(kept.folder / "trained.safetensors").items()
        }
        assert model.load_state_dict(state, strict=False).unexpected_keys == []
        assert_same(kept, plain_probabilities(kept, lambda batch: model(**batch).logits))


def mean_state(body: Any, batch: Any) -> torch.Tensor:
    return body(**batch).last_hidden_state.mean(1)  # one text at a time: nothing is padded


def test_a_linear_readout_on_lora_loads_with_peft_and_safetensors(make_config):
    from peft import PeftModel

    kept = Kept(make_config("method=lora", "readout=linear", *FP32))
    assert "head.safetensors" in kept.files
    with quiet_libraries():
        body = PeftModel.from_pretrained(AutoModel.from_pretrained(kept.base), str(kept.folder)).eval()
        head = Linear(384, 2)
        head.load_state_dict(load_file(kept.folder / "head.safetensors"))
        assert_same(kept, plain_probabilities(kept, lambda batch: head(mean_state(body, batch))))


def test_a_linear_readout_alone_loads_with_safetensors(make_config):
    kept = Kept(make_config("method=head_only", "readout=linear", *FP32))
    state = load_file(kept.folder / "trained.safetensors")
    assert set(state) == {"head.weight", "head.bias"}
    with quiet_libraries():
        body = AutoModel.from_pretrained(kept.base).eval()
        head = Linear(384, 2)
        head.load_state_dict({name.removeprefix("head."): tensor for name, tensor in state.items()})
        assert_same(kept, plain_probabilities(kept, lambda batch: head(mean_state(body, batch))))
