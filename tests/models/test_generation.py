"""Written answers against plain loops and transformers' own generation."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tiny import END, PAD, batch_of, likelihood, next_logits, tiny, wrapped
from tunesweep.models import language
from tunesweep.models.generation import Generator, following
from tunesweep.models.language import LANGUAGES

PROMPTS = [[4, 5, 6, 7, 8, 9], [11, 12], [30, 31, 32, 33]]
ANSWERS = [[7, END], [8, 9, 5, END], [END]]
PREFIX = [21, 22, 23, 24, 25]
WRITERS = ("decoder", "encoder_decoder")
METHODS = (None, "lora", "prefix", "prompt", "p_tuning")


def generator(model: Any, family: str, prefix: list[int] | None = None, **options: Any) -> Generator:
    return Generator(model, LANGUAGES[family](prefix or []), ends=[END], pad=PAD, **options).eval()


def answered(extra: int = 0) -> dict[str, torch.Tensor]:
    answers = batch_of(ANSWERS, extra)
    return batch_of(PROMPTS, extra, answer_ids=answers["input_ids"], answer_mask=answers["attention_mask"])


def model_of(family: str, method: str | None) -> Any:
    return tiny(family) if method is None else wrapped(family, method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", WRITERS)
def test_the_likelihood_of_an_answer_is_that_of_a_plain_loop(family, method):
    model = model_of(family, method)
    for prefix in ([], PREFIX):
        with torch.no_grad():
            sums, counts = generator(model, family, prefix).nll(answered(extra=4))
        told = [-likelihood(model, [*prefix, *p], a) for p, a in zip(PROMPTS, ANSWERS, strict=True)]
        assert sums.tolist() == pytest.approx(told, abs=1e-4)
        assert counts.tolist() == [2, 4, 1]


@pytest.mark.parametrize("scored", [[3, 2, 1], [5, 1, 3]])
def test_the_last_tokens_of_a_text_are_scored_without_its_first(scored):
    model = tiny("decoder")
    sums, counts = generator(model, "decoder").nll(batch_of(PROMPTS, scored=torch.tensor(scored)))
    assert counts.tolist() == [min(n, len(p) - 1) for n, p in zip(scored, PROMPTS, strict=True)]
    for total, count, text in zip(sums.tolist(), counts.tolist(), PROMPTS, strict=True):
        assert total == pytest.approx(-likelihood(model, text[:-count], text[-count:]), abs=1e-4)


@pytest.mark.parametrize("family", WRITERS)
def test_the_loss_is_that_of_transformers(family):
    model = tiny(family)
    sums, counts = generator(model, family).nll(answered())
    if family == "encoder_decoder":
        batch = answered()
        labels = batch["answer_ids"].masked_fill(batch["answer_mask"] == 0, -100)
        loss = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=labels).loss
    else:
        rows = [[*p, *a] for p, a in zip(PROMPTS, ANSWERS, strict=True)]
        labels = torch.full((3, 8), -100)
        for number, (prompt, row) in enumerate(zip(PROMPTS, rows, strict=True)):
            labels[number, len(prompt) : len(row)] = torch.tensor(row[len(prompt) :])
        loss = model(**batch_of(rows), labels=labels).loss
    assert (sums.sum() / counts.sum()).item() == pytest.approx(loss.item(), abs=1e-5)


@pytest.mark.parametrize("family", WRITERS)
def test_the_vocabulary_is_asked_for_answers_alone(family):
    model, seen = tiny(family), []
    model.lm_head.register_forward_hook(lambda m, i, o: seen.append(tuple(o.shape)))
    generator(model, family).nll(answered(extra=9))[0].sum().backward()
    assert seen == [(2 + 4 + 1, 50)]


def greedy(model: Any, prompt: list[int], longest: int) -> list[int]:
    """Write by asking for one token after another, without cache or padding."""
    written: list[int] = []
    while len(written) < longest:
        token = int(next_logits(model, prompt, written).argmax())
        if token == END:
            break
        written.append(token)
    return written


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", WRITERS)
def test_it_writes_the_likeliest_tokens(family, method):
    model = model_of(family, method)
    for prefix in ([], PREFIX):
        found = generator(model, family, prefix).generate(batch_of(PROMPTS, extra=3), 5)
        assert found == [greedy(model, [*prefix, *prompt], 5) for prompt in PROMPTS]


@pytest.mark.parametrize("family", WRITERS)
def test_it_writes_what_transformers_writes(family):
    model = tiny(family)
    rows = [[PAD] * (6 - len(row)) + row for row in PROMPTS]
    mask = torch.tensor([[int(token != PAD) for token in row] for row in rows])
    told = model.generate(
        torch.tensor(rows),
        attention_mask=mask,
        max_new_tokens=8,
        do_sample=False,
        pad_token_id=PAD,
        eos_token_id=END,
    )
    start = 1 if family == "encoder_decoder" else 6
    for found, row in zip(
        generator(model, family).generate(batch_of(PROMPTS), 8), told.tolist(), strict=True
    ):
        assert found == [*row[start:], END][: row[start:].index(END) if END in row[start:] else 8]


def test_writing_stops_at_any_end():
    model = tiny("decoder")
    whole = generator(model, "decoder").generate(batch_of(PROMPTS), 6)
    stop = whole[0][2]
    network = Generator(model, LANGUAGES["decoder"](), ends=[END, stop], pad=PAD)
    cut = network.generate(batch_of(PROMPTS), 6)
    assert cut == [row[: row.index(stop)] if stop in row else row for row in whole]
    assert len(cut[0]) <= 2


@pytest.mark.parametrize("family", WRITERS)
def test_constrained_writing_finds_the_likeliest_beginning_among_the_words(family):
    model, words = tiny(family), [[7], [8, 9], [8, 9, 5], [8, 11]]
    found = generator(model, family, allowed=words).generate(batch_of(PROMPTS), 8)
    assert all(row in words for row in found)
    for prompt, row in zip(PROMPTS, found, strict=True):
        first = max((7, 8), key=lambda token: likelihood(model, prompt, [token]))
        assert row[0] == first
    assert following([[7], [8, 9], [8, 9, 5]], [END, 2]) == {
        (): [7, 8],
        (7,): [END, 2],
        (8,): [9],
        (8, 9): [END, 2, 5],
        (8, 9, 5): [END, 2],
    }


@pytest.mark.parametrize("method", METHODS)
def test_prompts_that_begin_alike_are_answered_as_alone(
    method: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(language, "SAVED", 1)
    model = wrapped("decoder", method) if method else tiny("decoder")
    prompts = [[21, 22, 23, *prompt] for prompt in PROMPTS]
    for prefix in ([], PREFIX):
        found = generator(model, "decoder", prefix).generate(batch_of(prompts, extra=3), 5)
        assert found == [greedy(model, [*prefix, *prompt], 5) for prompt in prompts]


def test_a_prefix_is_read_once_and_again_when_weights_have_changed():
    model, tokens = tiny("decoder"), []
    model.get_input_embeddings().register_forward_hook(lambda m, i, o: tokens.append(i[0].numel()))
    network = generator(model, "decoder", PREFIX)
    with torch.no_grad():
        network.nll(answered())
        network.nll(answered())
        assert tokens.count(len(PREFIX)) == 1
        network.train()
        network.eval()
        network.nll(answered())
    assert tokens.count(len(PREFIX)) == 2
