"""Label words against a plain loop over their tokens, without cache or padding."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import transformers

from tiny import CLOSING, MASK, batch_of, likelihood, tiny, wrapped
from tunesweep.models import language
from tunesweep.models.label_words import LabelWords, Masked, Words, Written, _openings
from tunesweep.models.language import LANGUAGES, Causal, right
from tunesweep.silence import quiet_libraries
from workplace import attached, learn

CLASSES = [[[7], [4, 12, 9]], [[8, 9]], [[8, 9, 5], [8, 11]]]  # some words begin alike
PROMPTS = [[4, 5, 6, 7, 8, 9], [11, 12], [30, 31, 32, 33]]
PREFIX = [21, 22, 23, 24, 25]
WRITERS = ("decoder", "encoder_decoder")


def readout(body: Any, family: str, prefix: list[int] | None = None, **options: Any) -> LabelWords:
    words = Words.of(CLASSES)
    scorer: Any = Masked(words, MASK, 1, prefix or [])
    if family != "encoder":
        scorer = Written(LANGUAGES[family](prefix or []), words)
    return LabelWords(body, scorer, words, **options).eval()


def filled_in(model: Any, prompt: list[int], word: list[int]) -> float:
    """Sum the log-probabilities of a word's tokens at masks before the closing token, one row alone."""
    row = torch.tensor([[*prompt[:-1], *[MASK] * len(word), prompt[-1]]])
    logits = model(input_ids=row, attention_mask=torch.ones_like(row)).logits[0, len(prompt) - 1 :]
    return sum(torch.log_softmax(logits[i], -1)[token].item() for i, token in enumerate(word))


def expected(
    model: Any, prompts: list[list[int]], prefix: list[int] | None = None, mean: bool = False
) -> Any:
    """Return class scores by the formula, from a plain loop."""
    ask = (
        likelihood if hasattr(model.config, "use_cache") and model.config.model_type != "bert" else filled_in
    )

    def scores(prompt: list[int]) -> list[float]:
        each = [[ask(model, prompt, w) / (len(w) if mean else 1) for w in words] for words in CLASSES]
        return [math.log(sum(map(math.exp, words))) for words in each]

    return torch.tensor([scores([*(prefix or []), *prompt]) for prompt in prompts])


def prompts_of(family: str) -> list[list[int]]:
    return [[*prompt, CLOSING] for prompt in PROMPTS] if family == "encoder" else PROMPTS


def score(network: LabelWords, prompts: list[list[int]], extra: int = 0) -> torch.Tensor:
    with torch.inference_mode():
        return network(batch_of(prompts, extra))


@pytest.mark.parametrize("prefix", [None, PREFIX])
@pytest.mark.parametrize("family", [*WRITERS, "encoder"])
def test_classes_score_as_in_a_plain_loop(family, prefix):
    model, prompts = tiny(family), prompts_of(family)
    found = score(readout(model, family, prefix), prompts)
    torch.testing.assert_close(found, expected(model, prompts, prefix), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("method", ["lora", "prefix", "prompt", "p_tuning"])
@pytest.mark.parametrize("family", WRITERS)
def test_a_method_is_asked_as_in_a_plain_loop(family, method):
    model = wrapped(family, method)
    plain = expected(tiny(family), PROMPTS)
    for prefix in (None, PREFIX):
        found = score(readout(model, family, prefix), PROMPTS)
        torch.testing.assert_close(found, expected(model, PROMPTS, prefix), atol=1e-5, rtol=1e-5)
    assert (score(readout(model, family), PROMPTS) - plain).abs().max() > 1e-3  # the method does something


@pytest.mark.parametrize("family", [*WRITERS, "encoder"])
def test_scores_do_not_depend_on_batch_or_padding(family):
    network, prompts = readout(tiny(family), family, PREFIX), prompts_of(family)
    together = score(network, prompts, extra=5)
    alone = torch.cat([score(network, [prompt]) for prompt in prompts])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", WRITERS)
def test_many_classes_are_read_in_parts(family, monkeypatch):
    from tunesweep.models import label_words

    model = tiny(family)
    whole = score(readout(model, family), PROMPTS)
    monkeypatch.setattr(label_words, "ROWS", 4)  # one opening at a time
    torch.testing.assert_close(score(readout(model, family), PROMPTS), whole, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("prefix", [None, PREFIX])
@pytest.mark.parametrize("family", WRITERS)
def test_gradients_are_those_of_prompts_repeated_for_every_word(family, prefix):
    network = readout(tiny(family), family, prefix)
    batch, gradients = batch_of(PROMPTS), []
    for steps in (network.scorer.together, network.scorer.apart):
        network.zero_grad()
        steps(network.body, batch["input_ids"], batch["attention_mask"]).sum().backward()
        gradients.append(
            {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
        )
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-4)


def test_recomputed_layers_are_asked_without_a_cache():
    network = readout(tiny("decoder"), "decoder")
    plain = network(batch_of(PROMPTS))
    network.train()
    with quiet_libraries():
        network.body.gradient_checkpointing_enable({"use_reentrant": False})
        torch.testing.assert_close(network(batch_of(PROMPTS)), plain, atol=1e-5, rtol=1e-5)


def test_every_beginning_is_read_once():
    words = [(7,), (4, 12, 9), (8, 9), (8, 9, 5), (8, 11), (9, 1, 2), (9, 1, 3)]
    assert _openings(words) == [(4, 12), (8, 9), (9, 1)]
    assert _openings([(1,), (2,)]) == [()]


class Counted:
    """Counts the tokens that a model reads."""

    def __init__(self, model: Any) -> None:
        self.tokens: list[int] = []
        model.get_input_embeddings().register_forward_hook(lambda m, i, o: self.tokens.append(i[0].numel()))


def test_prefix_and_prompts_are_read_once():
    model = tiny("decoder")
    network, count = readout(model, "decoder", PREFIX), Counted(model)
    for _ in range(2):
        score(network, PROMPTS)
    prompts, words = 3 * 6, 3 * 2 * 2  # padded; openings (4, 12) and (8, 9) for each prompt
    assert count.tokens == [len(PREFIX), prompts, words, prompts, words]


OPENED = [[21, 22, 23, *prompt] for prompt in ([4, 5, 6, 7, 8, 9], [11, 12], [30, 31, 32, 33], [11])]


@pytest.mark.parametrize("method", [None, "lora", "prefix", "prompt", "p_tuning"])
@pytest.mark.parametrize("prefix", [None, PREFIX])
def test_what_prompts_begin_with_is_read_once_and_they_score_as_in_a_plain_loop(
    method: str | None, prefix: list[int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(language, "SAVED", 3)
    model = wrapped("decoder", method) if method else tiny("decoder")
    network, count = readout(model, "decoder", prefix), Counted(model)
    found = score(network, OPENED)
    torch.testing.assert_close(found, expected(model, OPENED, prefix), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(score(network, OPENED, extra=2), found, atol=1e-5, rtol=1e-5)
    count.tokens.clear()
    words = 4 * 2 * 2  # openings of words (4, 12) and (8, 9) for each prompt
    assert torch.equal(score(network, OPENED), found)
    assert count.tokens == [4 * 6, words]  # the three first tokens of all are known
    alone = score(network, [[21, 22, 23, 24]])
    torch.testing.assert_close(alone, expected(model, [[21, 22, 23, 24]], prefix), atol=1e-5, rtol=1e-5)


def test_prompts_that_begin_otherwise_are_not_taken_for_those_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "SAVED", 1)
    model = tiny("decoder")
    network, count = readout(model, "decoder"), Counted(model)
    for prompts, opening in [(OPENED, 3), ([[21, 25, 6], [21, 25, 7, 8]], 2), (PROMPTS, 0), (OPENED, 3)]:
        count.tokens.clear()
        found = score(network, prompts)
        torch.testing.assert_close(found, expected(model, prompts), atol=1e-5, rtol=1e-5)
        assert (count.tokens[0] == opening) == (opening > 0)
    count.tokens.clear()
    score(network, [[4, 5], [4, 5]])  # of prompts that are the same, the last token is each one's own
    assert count.tokens[:2] == [1, 2]


def test_a_model_whose_states_cannot_be_copied_reads_every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "SAVED", 1)
    torch.manual_seed(0)
    sizes = {"vocab_size": 48, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    sizes |= {"num_attention_heads": 2, "num_key_value_heads": 2}
    mixed = transformers.Lfm2Config(**sizes, layer_types=["conv", "full_attention"])  # type: ignore[arg-type]
    model = transformers.Lfm2ForCausalLM(mixed).eval()
    rows, mask = right([torch.tensor(prompt) for prompt in OPENED])
    with torch.no_grad():
        found, _ = Causal().begin(model, rows, mask)
        alone = [model(input_ids=torch.tensor([prompt])).logits[0, -1] for prompt in OPENED]
    torch.testing.assert_close(found, torch.stack(alone), atol=1e-5, rtol=1e-5)


def test_an_opening_that_saves_less_than_a_pass_is_read_by_each() -> None:
    assert 3 * (len(OPENED) - 1) < language.SAVED
    model = tiny("decoder")
    count = Counted(model)
    score(readout(model, "decoder"), OPENED)
    assert count.tokens[0] == 4 * 9


@pytest.mark.parametrize("calibration", [None, "contextual"])
def test_what_is_remembered_goes_with_the_weights(calibration):
    model = tiny("decoder")
    network = readout(model, "decoder", PREFIX, calibration=calibration, blanks=[[5], [6]])
    before = score(network, PROMPTS)
    with torch.no_grad():
        model.model.embed_tokens.weight[21:26] *= -3  # what the prefix is made of
    assert not torch.allclose(score(network.eval(), PROMPTS), before)
    fresh = readout(model, "decoder", PREFIX, calibration=calibration, blanks=[[5], [6]])
    assert torch.equal(score(network, PROMPTS), score(fresh, PROMPTS))


@pytest.mark.parametrize("family", [*WRITERS, "encoder"])
def test_the_mean_is_taken_over_a_words_tokens(family):
    model, prompts = tiny(family), prompts_of(family)
    found = score(readout(model, family, normalise="mean"), prompts)
    torch.testing.assert_close(found, expected(model, prompts, mean=True), atol=1e-5, rtol=1e-5)


def test_contextual_calibration_divides_by_what_content_free_prompts_say():
    model, blanks = tiny("decoder"), [[5], [6, 13], [14]]
    found = score(readout(model, "decoder", calibration="contextual", blanks=blanks), PROMPTS)
    free = expected(model, blanks).exp()
    favoured = (free / free.sum(1, keepdim=True)).mean(0)  # arXiv:2102.09690, section 5
    ratio = (expected(model, PROMPTS).exp() / favoured).softmax(1)
    torch.testing.assert_close(found.exp().softmax(1), ratio, atol=1e-5, rtol=1e-4)
    constant = readout(model, "decoder", calibration="contextual", blanks=[PROMPTS[0]])
    assert score(constant, PROMPTS[:1]).std() < 1e-5  # what is content-free itself favours nothing


def test_pmi_compares_each_word_with_the_prompt_alone():
    model, blank = tiny("decoder"), [5, 6]
    found = score(readout(model, "decoder", calibration="pmi", blanks=[blank]), PROMPTS)
    for row, prompt in zip(found.tolist(), PROMPTS, strict=True):
        each = [
            [likelihood(model, prompt, w) - likelihood(model, blank, w) for w in words] for words in CLASSES
        ]
        assert row == pytest.approx([math.log(sum(map(math.exp, words))) for words in each], abs=1e-4)


@pytest.mark.slow
def test_smollm2_reads_label_words_like_a_plain_loop_and_learns_with_lora(make_config):
    words = "+readout.words={fresh: [wonderful, a delight], rotten: bad}"
    few = ("dataset.limit={train: 4, select: 2, test: 4}", "encoding.max_length=24", "train.precision=fp32")
    with attached(
        make_config("model=smollm2_135m", "readout=label_words", "method=lora", words, *few)
    ) as work:
        batch = next(iter(work.data.test_dataloader()))
        tokenizer, model = work.data.tokenizer, work.network.body
        told = [tokenizer(f" {word}")["input_ids"] for word in ("wonderful", "a delight", "bad")]
        assert list(map(len, told)) == [1, 2, 1]
        found = score_batch(work.network, batch)
        for row, index in list(enumerate(batch["index"].tolist()))[:2]:
            prompt = batch["input_ids"][row][: int(batch["attention_mask"][row].sum())].tolist()
            assert tokenizer.decode(prompt).endswith("\nAnswer:")
            assert tokenizer.decode(prompt).startswith(work.data.splits.test.inputs[index][:20])
            fine, delight, bad = (likelihood(model, prompt, word) for word in told)
            assert found[row].tolist() == pytest.approx(
                [math.log(math.exp(fine) + math.exp(delight)), bad], abs=1e-4
            )
        losses = learn(work, steps=3)
        assert losses[-1] < losses[0] - 0.01


def score_batch(network: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    network.eval()
    with torch.inference_mode():
        found: torch.Tensor = network(batch)
    return found
