"""A tiny network for every cell of the capability matrix, and a few steps of training on made-up rows."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from composing import composed as composed_words
from tunesweep import door
from tunesweep.capabilities import Cell
from tunesweep.config import RunConfig
from tunesweep.methods import hooks, names
from tunesweep.models.backbone import tame_four_bit
from tunesweep.models.generation import Generator
from tunesweep.models.label_words import LabelWords, Masked, Words, Written
from tunesweep.models.language import LANGUAGES
from tunesweep.models.readouts import Linear, Pixels, Readout, Standard
from tunesweep.models.reference import reference

CONF = Path(__file__).parents[1] / "conf"
MODELS = {
    "encoder": "random_bert",
    "decoder": "random_llama",
    "encoder_decoder": "random_t5",
    "vision": "mlp",
}
WIDTH, VOCABULARY, PAD, END, MASK = 32, 48, 0, 2, 3
WORDS = [[[10]], [[11, 12]]]
ROWS, TOKENS, STEPS = 8, 7, 6

_SIZES = {"vocab_size": VOCABULARY, "num_labels": 2, "pad_token_id": PAD, "attn_implementation": "eager"}
_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "dropout_rate": 0.0}
_LAYER = {"hidden_size": WIDTH, "num_hidden_layers": 1, "intermediate_size": 2 * WIDTH}
_SPREAD = {"initializer_range": 0.2}  # wide enough for the layer to matter
_T5 = {"d_model": WIDTH, "d_kv": 8, "d_ff": 2 * WIDTH, "num_layers": 1, "num_heads": 4}
_STARTS = {"decoder_start_token_id": PAD, "eos_token_id": END, "feed_forward_proj": "gated-gelu"}
SHAPES: dict[str, Callable[[], Any]] = {
    "encoder": lambda: transformers.BertConfig(
        **_SIZES, **_LAYER, **_SPREAD, **_DROPOUT, num_attention_heads=4
    ),
    "decoder": lambda: transformers.LlamaConfig(
        **_SIZES, **_LAYER, **_SPREAD, num_attention_heads=4, num_key_value_heads=2, eos_token_id=END
    ),
    "encoder_decoder": lambda: transformers.T5Config(**_SIZES, **_T5, **_STARTS, **_DROPOUT),
}
CLASSES = {
    "head": dict.fromkeys(SHAPES, "AutoModelForSequenceClassification"),
    "linear": {
        "encoder": "AutoModel",
        "decoder": "AutoModel",
        "encoder_decoder": "AutoModelForTextEncoding",
    },
}
LANGUAGE = {
    "encoder": "AutoModelForMaskedLM",
    "decoder": "AutoModelForCausalLM",
    "encoder_decoder": "AutoModelForSeq2SeqLM",
}


@cache
def composed(method: str, family: str, *words: str) -> RunConfig:
    """Return the shipped YAML of a method, on a model whose layers have the names of the tiny one's."""
    extra = ["dataset=digits"] * (family == "vision")
    return composed_for(method, MODELS[family], "lora.r=1", "train.precision=fp32", *extra, *words)


def composed_for(method: str, model: str, *words: str) -> RunConfig:
    """Return a point as the command line would."""
    cfg = composed_words(f"method={method}", f"model={model}", *words)
    cfg.runtime.point.uses_lora = door.takes_rank(cfg)
    return door.to_run_config(cfg)


def config_of(cell: Cell, *words: str) -> RunConfig:
    """Return the point that stands for a cell."""
    config = composed(cell.method, cell.family, *words)
    method = replace(config.method, quantisation={"none": None}.get(cell.quantisation, cell.quantisation))
    runtime = replace(config.runtime, gradient_checkpointing=cell.checkpointing == "on")
    head = {"encoder": ["classifier"]}.get(cell.family, config.model.head)
    model = replace(config.model, head=head)
    if "started" in cell.model_traits:
        head = (
            [] if "adapter" in cell.traits else head
        )  # an adapter takes every layer; the head is one of them
        model = replace(model, head=head, init_from="0123456789abcdef")
    readout = replace(config.readout, name=cell.readout)
    return replace(config, method=method, runtime=runtime, readout=readout, model=model)


@cache
def _body(family: str, readout: str, quantisation: str) -> nn.Module:
    torch.manual_seed(0)
    shape = SHAPES[family]()
    auto = getattr(transformers, CLASSES.get(readout, LANGUAGE)[family])
    body: nn.Module = auto.from_config(shape)
    if quantisation == "none":
        return body
    with TemporaryDirectory() as folder:
        body.save_pretrained(folder)  # type: ignore[operator]
        four_bit = transformers.BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.float32,
            llm_int8_skip_modules=["classifier", "score", "classification_head", "lm_head", "cls"],
        )
        quantised: nn.Module = auto.from_pretrained(
            folder, quantization_config=four_bit, attn_implementation="eager"
        )
    tame_four_bit(quantised, torch.float32)
    return quantised


def build(cell: Cell, seed: int = 0) -> Readout:
    """Return a cell's network before its method; the same base every time, a head of ours by the seed."""
    torch.manual_seed(seed)
    if cell.family == "vision":
        torch.manual_seed(0)
        model = replace(composed("full", "vision").model, hidden=[16])
        return Pixels(reference(model, size=8, classes=2))
    body = copy.deepcopy(_body(cell.family, cell.readout, cell.quantisation))
    if cell.checkpointing == "on":
        body.gradient_checkpointing_enable({"use_reentrant": False})  # type: ignore[operator]
    torch.manual_seed(seed)
    return _READOUTS[cell.readout](body, cell.family)


def _linear(body: nn.Module, family: str) -> Readout:
    if family == "encoder":
        body.register_module("pooler", None)
    return Linear(body, WIDTH, 2, "last" if family == "decoder" else "mean")


def _label_words(body: nn.Module, family: str) -> Readout:
    words = Words.of(WORDS)
    masked = family == "encoder"
    scorer = Masked(words, MASK, closing=1) if masked else Written(LANGUAGES[family](), words)
    return LabelWords(body, scorer, words)


def _generator(body: nn.Module, family: str) -> Readout:
    return Generator(body, LANGUAGES[family](), ends=[END], pad=PAD)


_READOUTS: dict[str, Callable[[nn.Module, str], Readout]] = {
    "head": lambda body, _: Standard(body),
    "linear": _linear,
    "label_words": _label_words,
    "generate": _generator,
}


@cache
def rows(family: str) -> dict[str, Tensor]:
    """Return a batch whose class is its second token; half of the rows are padded."""
    torch.manual_seed(1)
    labels = torch.arange(ROWS) % 2
    if family == "vision":
        pixels = torch.rand(ROWS, 1, 8, 8) + labels.view(-1, 1, 1, 1)
        return {"pixels": pixels, "labels": labels, "index": torch.arange(ROWS)}
    ids = torch.randint(13, 20, (ROWS, TOKENS))
    ids[:, 1] = 20 + labels
    ids[:, -1] = END
    ids[ROWS // 2 :, -2], ids[ROWS // 2 :, -1] = END, PAD
    answers = torch.tensor([[10, END, PAD], [11, 12, END]])[labels]
    return {
        "input_ids": ids,
        "attention_mask": (ids != PAD).long(),
        "labels": labels,
        "answer_ids": answers,
        "answer_mask": (answers != PAD).long(),
        "index": torch.arange(ROWS),
    }


def alone(batch: dict[str, Tensor], row: int) -> dict[str, Tensor]:
    """Return one row of a batch, without its padding."""
    length = int(batch["attention_mask"][row].sum())
    found = {key: value[row : row + 1] for key, value in batch.items()}
    return found | {key: found[key][:, :length] for key in ("input_ids", "attention_mask")}


def loss_of(network: Readout, batch: dict[str, Tensor]) -> Tensor:
    """Return the mean loss of a batch."""
    if isinstance(network, Generator):
        sums, counts = network.nll(batch)
        return sums.sum() / counts.sum()
    return cross_entropy(network(batch), batch["labels"])


def says(network: Readout, batch: dict[str, Tensor]) -> Tensor:
    """Return what a network says of a batch, without learning from it."""
    network.eval()
    with torch.no_grad():
        return network.nll(batch)[0] if isinstance(network, Generator) else network(batch)


def base_of(network: Readout) -> dict[str, Tensor]:
    """Return every parameter by the name it had before a method came."""
    return {names.bare(n, network): p.detach().clone() for n, p in network.named_parameters()}


def learn(
    network: Readout, config: RunConfig, rate: float, steps: int = STEPS
) -> tuple[list[float], set[str]]:
    """Take hot steps on one batch; return the losses, and the tensors that a gradient has reached."""
    batch, losses, reached = rows(config.model.family), [], set()
    trained = {n: p for n, p in network.named_parameters() if p.requires_grad}
    hooks.prepare(network, config, steps)
    optimizer = torch.optim.AdamW(trained.values(), lr=rate, weight_decay=0.0)
    network.train()
    for step in range(steps):
        optimizer.zero_grad()
        loss = loss_of(network, batch)
        loss.backward()
        reached |= {n for n, p in trained.items() if p.grad is not None and p.grad.abs().max() > 0}
        hooks.before_step(network, config)
        optimizer.step()
        hooks.after_step(network, config, step, steps)
        losses.append(loss.item())
    network.eval()
    with torch.no_grad():
        losses.append(loss_of(network, batch).item())
    return losses, reached
