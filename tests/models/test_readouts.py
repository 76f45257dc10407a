"""How classes are read off, against plain loops."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tunesweep.models.readouts import POOLINGS, LabelWords, Linear
from workplace import attached, learn


@pytest.fixture
def hidden() -> torch.Tensor:
    return torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0))


LENGTHS = (5, 1, 3)
MASK = torch.tensor([[1] * n + [0] * (5 - n) for n in LENGTHS])


@pytest.mark.parametrize("name", ["cls", "last", "mean"])
def test_pooling_reads_real_tokens_only(hidden, name):
    expected = {
        "cls": [row[0] for row in hidden],
        "last": [row[n - 1] for row, n in zip(hidden, LENGTHS, strict=True)],
        "mean": [sum(row[:n]) / n for row, n in zip(hidden, LENGTHS, strict=True)],
    }
    torch.testing.assert_close(POOLINGS[name](hidden, MASK), torch.stack(expected[name]))


@pytest.mark.parametrize("name", ["last", "mean"])
def test_what_stands_in_the_padding_does_not_matter(hidden, name):
    spoiled = torch.where(MASK.bool()[..., None], hidden, 1e6)
    assert torch.equal(POOLINGS[name](hidden, MASK), POOLINGS[name](spoiled, MASK))


class Body(torch.nn.Module):
    """Returns its embeddings: enough of a model for a head."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(10, 4)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        from types import SimpleNamespace

        return SimpleNamespace(last_hidden_state=self.embed(input_ids).bfloat16())


def test_a_linear_readout_is_a_linear_layer_in_32_bits_on_the_pooled_state():
    readout = Linear(Body(), 4, 3, "mean")
    ids = torch.tensor([[1, 2, 3], [4, 0, 0]])
    logits = readout({"input_ids": ids, "attention_mask": torch.tensor([[1, 1, 1], [1, 0, 0]])})
    assert logits.dtype == torch.float32
    assert readout.head is not None
    state = readout.body.embed.weight[4].bfloat16().float()
    torch.testing.assert_close(logits[1], readout.head.weight @ state + readout.head.bias)


def tiny_decoder() -> Any:
    """Return a random Llama of two layers: it knows nothing, and its arithmetic is real."""
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(vocab_size=50, **sizes)).eval()


def plain_likelihood(model: Any, prompt: list[int], word: list[int]) -> float:
    """Sum the log-probabilities of a word's tokens, each asked for on its own and without padding."""
    total, seen = 0.0, list(prompt)
    for token in word:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([seen])).logits[0, -1].float()
        total += torch.log_softmax(logits, -1)[token].item()
        seen.append(token)
    return total


def test_label_words_equal_a_plain_loop_over_tokens():
    model, words = tiny_decoder(), [[7], [8, 9], [7, 3, 5]]
    prompts = [[1, 2, 3, 4, 5, 6], [11, 12], [30, 31, 32, 33]]
    ids = torch.zeros(3, 6, dtype=torch.long)
    mask = torch.zeros(3, 6, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, : len(prompt)], mask[row, : len(prompt)] = torch.tensor(prompt), 1
    with torch.no_grad():
        found = LabelWords(model, words)({"input_ids": ids, "attention_mask": mask})
    expected = torch.tensor([[plain_likelihood(model, p, w) for w in words] for p in prompts])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_smollm2_reads_label_words_like_a_plain_loop_and_learns_with_lora(make_config):
    words = "+readout.words={fresh: wonderful, rotten: bad}"
    few = (
        "dataset.limit.train=4",
        "dataset.limit.select=2",
        "dataset.limit.test=4",
        "encoding.max_length=24",
    )
    overrides = (
        "model=smollm2_135m",
        "readout=label_words",
        "method=lora",
        words,
        "train.precision=fp32",
        *few,
    )
    with attached(make_config(*overrides)) as work:
        batch = next(iter(work.data.test_dataloader()))
        tokenizer, model = work.data.tokenizer, work.network.body
        told = [tokenizer(f" {word}", add_special_tokens=False)["input_ids"] for word in ("wonderful", "bad")]
        texts = work.data.splits.test.inputs
        with torch.no_grad():
            found = work.network(batch)
        for row, index in list(enumerate(batch["index"].tolist()))[:2]:
            prompt = batch["input_ids"][row][: int(batch["attention_mask"][row].sum())].tolist()
            assert tokenizer.decode(prompt).endswith("\nAnswer:")
            assert tokenizer.decode(prompt).startswith(texts[index][:20])
            expected = [plain_likelihood(model, prompt, word) for word in told]
            assert found[row].tolist() == pytest.approx(expected, abs=1e-3)
        losses = learn(work, steps=3)
        assert losses[-1] < losses[0] - 0.01
