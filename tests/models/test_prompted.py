"""From a configuration to what a language-model head is asked."""

from __future__ import annotations

from typing import Any

import pytest

from tunesweep.errors import BadConfig
from tunesweep.models import prompted
from tunesweep.models.generation import Generator
from tunesweep.models.label_words import LabelWords, Masked
from workplace import FEW, at_work, attached, load

WORDS = "+readout.words={fresh: [good, a delight], rotten: bad}"
TINY = ("model=random_llama", "method=full", "readout=label_words", *FEW)


def ids_of(config: Any) -> dict[str, list[list[int]]]:
    with at_work(config) as work:
        return prompted.word_ids(config, work.data)


def test_words_stand_where_the_prompt_ends(make_config):
    with at_work(make_config(*TINY, WORDS)) as work:
        known = work.data.tokenizer.convert_tokens_to_ids
        expected = {"fresh": [known(["good"]), known(["a", "delight"])], "rotten": [known(["bad"])]}
        assert prompted.word_ids(work.config, work.data) == expected


def test_a_class_without_words_goes_by_its_name(make_config):
    assert list(ids_of(make_config(*TINY))) == ["fresh", "rotten"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("{fresh: good}", "lacks a word for rotten"),
        ("{fresh: good, rotten: GOOD}", "must differ from class to class"),  # this tokenizer lower-cases
        ("{fresh: [good, bad], rotten: bad}", "must differ from class to class"),
        ("{fresh: good, rotten: []}", "holds no token for rotten"),
        ("{fresh: good, rotten: [bad, '']}", "holds no token for rotten"),
    ],
)
def test_every_class_needs_words_of_its_own(make_config, words, message):
    with pytest.raises(BadConfig, match=message):
        ids_of(make_config(*TINY, f"+readout.words={words}"))


@pytest.mark.slow  # it reads the weights
def test_an_answer_ends_at_any_end_that_the_model_knows(make_config, smollm2_tokenizer):
    few = ("dataset.limit={train: 4, select: 2, test: 2}", "encoding.max_length=24")
    with attached(make_config("model=smollm2_135m", "readout=generate", "method=zero_shot", *few)) as work:
        network: Any = work.network
        assert isinstance(network, Generator)
        assert network.ends == [smollm2_tokenizer.convert_tokens_to_ids("<|im_end|>")]
        network.body.generation_config.eos_token_id = [2, 0]
        assert prompted.generator(work.config, network.body, work.data).ends == [0, 2]


def test_constrained_writing_knows_every_word(make_config):
    with attached(make_config(*TINY, WORDS, "readout.name=generate", "readout.constrain=true")) as work:
        network: Any = work.network
        batch = next(iter(work.data.test_dataloader()))
        texts = {work.data.tokenizer.decode(row) for row in network.eval().generate(batch, 8)}
        assert texts <= {"good", "a delight", "bad"}


@pytest.mark.parametrize(("calibration", "blanks"), [("contextual", ["n / a", "[MASK]", ""]), ("pmi", [""])])
def test_a_calibration_asks_about_the_prompt_without_content(make_config, calibration, blanks):
    with attached(make_config(*TINY, WORDS, f"readout.calibration={calibration}")) as work:
        network: Any = work.network
        assert isinstance(network, LabelWords)
        found = [work.data.tokenizer.decode(row) for row in network.blanks]
        assert found == [" ".join(f"[CLS] {blank} answer : [SEP]".split()) for blank in blanks]
        first = next(iter(work.data.test_dataloader()))
        assert network(first).shape == (24, 2)


def test_masks_stand_at_the_end_of_the_prompt(make_config):
    options = ("model=random_bert", "method=full", "readout=label_words", WORDS)
    with attached(make_config(*options, *FEW)) as work:
        network: Any = work.network
        assert isinstance(network.scorer, Masked)
        seen: list[Any] = []
        network.body.get_input_embeddings().register_forward_hook(lambda m, i, o: seen.append(i[0]))
        network(next(iter(work.data.test_dataloader())))
        texts = [text.replace(" [PAD]", "") for text in work.data.tokenizer.batch_decode(seen[0])]
        assert all(text.endswith("answer : [MASK] [SEP]") for text in texts[::2])
        assert all(text.endswith("answer : [MASK] [MASK] [SEP]") for text in texts[1::2])


def test_a_masked_word_needs_room(make_config):
    options = ("model=random_bert", "method=full", "readout=label_words", WORDS)
    with pytest.raises(BadConfig, match=r"encoding\.max_length=511 leaves .* no room .*: at most 510"):
        load(make_config(*options, *FEW, "encoding.max_length=511"))


def test_an_encoder_that_was_never_taught_to_fill_in_is_refused(make_config):
    with pytest.raises(BadConfig, match=r"lacks \d+ tensors .*cls\.predictions"):
        load(make_config("model=minilm", "readout=label_words", *FEW))
