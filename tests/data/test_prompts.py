"""What a model reads of an example: the template as one text, cut in its fields and nowhere else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, normalizers
from transformers import PreTrainedTokenizerFast

from tunesweep.data import prompts
from tunesweep.data.cutting import HOW
from tunesweep.data.encodings.text import Instruction, Pair, Preference, Text
from tunesweep.data.prompts import Prompt, PromptCall
from tunesweep.errors import BadConfig
from tunesweep.models.tokenizer import load_tokenizer

ASKS = Prompt("Review: {text}\nAnswer:", ("text",))
BOTH = Prompt("Premise: {text}\nHypothesis: {text_pair} True?", ("text", "text_pair"))
HARD = [
    "A fine film.",
    "",
    " leading",
    "naïve 😀 日本語 text",
    "two\n\nlines",
    "{text} {text_pair} {0}",
    "]]>\x00 |",
]


@pytest.fixture(params=["minilm", "smollm2"])
def tokenizer(request: pytest.FixtureRequest, make_config: Any, cache: Path) -> Any:
    if request.param == "smollm2":
        return request.getfixturevalue("smollm2_tokenizer")
    return load_tokenizer(make_config("model=minilm").model, cache)


def read(
    prompt: Prompt, tokenizer: Any, *fields: Any, length: int = 512, cut: str = "tail"
) -> list[list[int]]:
    ids: list[list[int]] = PromptCall(prompt, tokenizer, length, cut)(fields)["input_ids"]
    return ids


def bare(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def test_a_field_stands_in_the_template_as_it_is_and_is_found_again() -> None:
    for first in HARD:
        text, spans = BOTH.content((first, "{text}"))
        assert text == "Premise: " + first + "\nHypothesis: {text} True?"
        assert [(number, text[start:end]) for number, start, end in spans] == [(0, first), (1, "{text}")]


def test_a_prompt_is_tokenised_as_the_one_text_it_is(tokenizer: Any) -> None:
    found = read(ASKS, tokenizer, *HARD)
    assert found == [tokenizer(f"Review: {text}\nAnswer:")["input_ids"] for text in HARD]


@pytest.mark.parametrize("cut", HOW)
def test_cutting_takes_tokens_of_fields_and_no_others(tokenizer: Any, cut: str) -> None:
    fields = ("good " * 30).strip(), ("bad " * 9).strip()
    (whole,) = read(BOTH, tokenizer, fields)
    always = len(whole) - 39  # each word is a token
    shape = re.compile(r"premise:((?:good)*)hypothesis:((?:bad)*)true\?")
    for length in range(always + 2, len(whole) + 2):
        (ids,) = read(BOTH, tokenizer, fields, length=length, cut=cut)
        text = re.sub(r"\s", "", tokenizer.decode(ids, skip_special_tokens=True).lower())
        goods, bads = shape.fullmatch(text).groups()  # type: ignore[union-attr]
        assert len(goods) // 4 + len(bads) // 3 == min(length, len(whole)) - always == len(ids) - always
        assert goods
        assert bads
        specials = [token for token in whole if token in tokenizer.all_special_ids]
        assert [token for token in ids if token in tokenizer.all_special_ids] == specials


def test_a_literal_that_shares_a_token_with_a_field_stays(smollm2_tokenizer: Any) -> None:
    prompt, text = Prompt('Say "{text}" now.', ("text",)), "..." + " good" * 20
    (whole,) = read(prompt, smollm2_tokenizer, text)
    assert '"...' in [smollm2_tokenizer.decode([token]).strip() for token in whole]  # quote and dots are one
    (ids,) = read(prompt, smollm2_tokenizer, text, length=12, cut="head")
    assert len(ids) == 12
    assert re.fullmatch(r'Say "(\.\.\.)?( good)+" now\.', smollm2_tokenizer.decode(ids))


def test_fields_of_many_bytes_a_letter_are_found_whole(smollm2_tokenizer: Any) -> None:
    fields = ("日本語 😀 naïve", "👩‍🚀 ünd ¿so?")
    prompt = Prompt("A: {text} B: {text_pair} C", ("text", "text_pair"))
    text, spans = prompt.content(fields)
    found = smollm2_tokenizer(text, return_offsets_mapping=True)
    places = prompts.positions(text, found["offset_mapping"], spans)
    for field, own in zip(fields, places, strict=True):
        assert smollm2_tokenizer.decode([found["input_ids"][place] for place in own]) == f" {field}"
    for length in range(9, len(found["input_ids"])):
        (ids,) = read(prompt, smollm2_tokenizer, fields, length=length, cut="fields")
        assert re.fullmatch(r"A:.* B:.* C", smollm2_tokenizer.decode(ids), re.DOTALL)


def messages(*turns: tuple[str, str], last: str) -> list[dict[str, str]]:
    asked = [[{"role": "user", "content": q}, {"role": "assistant", "content": a}] for q, a in turns]
    return [*(message for turn in asked for message in turn), {"role": "user", "content": last}]


def templated(tokenizer: Any, said: list[dict[str, str]]) -> list[int]:
    return list(
        tokenizer.apply_chat_template(said, add_generation_prompt=True, return_dict=True)["input_ids"]
    )


@pytest.mark.parametrize("turns", [[], [("Is it red?", "Yes"), ("Is it 日本?", "No")]])
def test_a_chat_is_what_the_tokenizers_own_template_makes_of_it(smollm2_tokenizer: Any, turns: Any) -> None:
    prompt = prompts.in_chat(Prompt("Is it {text}?", ("text",)), smollm2_tokenizer, turns)
    call = PromptCall(prompt, smollm2_tokenizer, 64, "tail")
    prefix = call.opening(prompt.before) if turns else []  # read once, where there are solved examples
    for text in ("blue", "naïve 😀"):
        expected = templated(smollm2_tokenizer, messages(*turns, last=f"Is it {text}?"))
        assert prefix + call([text])["input_ids"][0] == expected


def test_a_chat_that_is_too_long_loses_of_its_text_alone(smollm2_tokenizer: Any) -> None:
    prompt = prompts.in_chat(Prompt("Is it {text}?", ("text",)), smollm2_tokenizer, [])
    empty = templated(smollm2_tokenizer, messages(last="Is it?"))
    (ids,) = read(prompt, smollm2_tokenizer, "good" + " good" * 49, length=len(empty) + 5)
    assert len(ids) == len(empty) + 5
    expected = templated(smollm2_tokenizer, messages(last="Is it good good good good good?"))
    assert smollm2_tokenizer.decode(ids) == smollm2_tokenizer.decode(expected)


def test_a_chat_needs_a_template(make_config: Any, cache: Path) -> None:
    minilm = load_tokenizer(make_config("model=minilm").model, cache)
    with pytest.raises(BadConfig, match="needs a chat template, and this tokenizer has none"):
        prompts.in_chat(ASKS, minilm, [])


def test_solved_examples_are_read_once_before_all(tokenizer: Any) -> None:
    prompt = prompts.after_shots(ASKS, [("Review: bad\nAnswer:", " no"), ("Review: good\nAnswer:", " yes")])
    solved = "Review: bad\nAnswer: no\n\nReview: good\nAnswer: yes\n\n"
    call = PromptCall(prompt, tokenizer, 64, "tail")
    begin, end = prompts.specials(tokenizer)
    assert call.opening(prompt.before) == begin + bare(tokenizer, solved)
    assert call(["fine"])["input_ids"] == [bare(tokenizer, "Review: fine\nAnswer:") + end]
    assert prompt.shown("fine") == solved + "Review: fine\nAnswer:"


def test_solved_examples_of_each_examples_own_stand_before_it_and_cost_it_no_room(tokenizer: Any) -> None:
    begin, end = prompts.specials(tokenizer)
    found = PromptCall(ASKS, tokenizer, 12, "tail")(["good", "good " * 40], ["one two\n\n", "three\n\n"])
    first, second = found["input_ids"]
    assert first == begin + bare(tokenizer, "one two\n\n") + bare(tokenizer, "Review: good\nAnswer:") + end
    before = begin + bare(tokenizer, "three\n\n")
    assert second[: len(before)] == before
    assert len(second) - len(bare(tokenizer, "three\n\n")) == 12
    assert found["truncated"] == [False, True]


@pytest.mark.parametrize(
    ("prompt", "space"),
    [
        (ASKS, " "),
        (Prompt("{text}\nAnswer:\n", ("text",)), ""),
        (Prompt("Answer to {text}", ("text",)), ""),
        (Prompt("{text}", ("text",), before="<user>", after="</user>", chat=True), ""),
    ],
)
def test_an_answer_follows_its_prompt_as_it_would_in_a_text(prompt: Prompt, space: str) -> None:
    assert prompts.leading_space(prompt) == space


def spaced() -> Any:
    """Return a tokenizer that writes a space of its own before every text, as Llama 2's does."""
    pieces = ["<unk>", "▁", "▁Answer:", "▁Yes", "Yes", "▁no", "▁:", "\n"]
    inner = Tokenizer(models.Unigram([(piece, float(len(piece))) for piece in pieces], unk_id=0))
    inner.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return PreTrainedTokenizerFast(tokenizer_object=inner)


def test_a_continuation_is_what_follows_in_the_middle_of_a_text(tokenizer: Any) -> None:
    texts = [" Yes", " no way", " 42 😀"]
    for text, ids in zip(texts, prompts.continuations(tokenizer, texts), strict=True):
        assert bare(tokenizer, "Answer:") + ids == bare(tokenizer, f"Answer:{text}")


def test_a_continuation_has_no_space_that_a_tokenizer_writes_at_a_beginning() -> None:
    tokenizer = spaced()
    yes, no, bare_yes = prompts.continuations(tokenizer, [" Yes", " no", "Yes"])
    assert bare(tokenizer, "Answer:") + yes == bare(tokenizer, "Answer: Yes")
    assert bare(tokenizer, "Answer:") + no == bare(tokenizer, "Answer: no")
    assert bare(tokenizer, "Answer:") + bare_yes == bare(tokenizer, "Answer:Yes")
    assert bare(tokenizer, " Yes") != yes  # which is why it is asked in the middle
    assert bare(tokenizer, "Yes") != bare_yes


def test_a_readouts_prompt_takes_the_encodings_template_or_its_fields() -> None:
    assert prompts.template(None, Instruction()) == (Instruction().template, ("text", "text_pair"))
    assert prompts.template("Q: {text} A:", Text())[0] == "Q: {text} A:"
    assert prompts.template("Q: {text} A:", Pair())[0] == "Q: {text}\n{text_pair} A:"
    assert prompts.template("{text_pair}? {text}", Pair())[0] == "{text_pair}? {text}"
    assert prompts.template("{text} Best?", Preference())[0] == f"{Preference().template} Best?"
    own = prompts.template("{text}: {response_b} or {response_a}?", Preference())[0]
    assert own == "{prompt}: {response_b} or {response_a}?"


def test_a_prompt_with_a_second_text_needs_one() -> None:
    with pytest.raises(
        BadConfig, match=r"names \{text_pair\}, and encoding=text reads no second text: drop it"
    ):
        prompts.template("{text} or {text_pair}?", Text())


def test_special_tokens_are_those_of_the_tokenizer() -> None:
    def tokenizer(_: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
        return {"input_ids": [1, 2, 9, 3] if add_special_tokens else [9]}

    assert prompts.specials(tokenizer) == ([1, 2], [3])


def test_a_length_that_holds_the_prompt_alone_is_refused(tokenizer: Any) -> None:
    needed = len(tokenizer("Review:\nAnswer:")["input_ids"])
    assert read(ASKS, tokenizer, "good " * 9, length=needed + 1)
    said = rf"max_length={needed} leaves no room for a text beside {needed} tokens that are always there:"
    with pytest.raises(BadConfig, match=said):
        read(ASKS, tokenizer, "good " * 9, length=needed)


def test_an_empty_prompt_of_an_empty_text_is_a_token_all_the_same(smollm2_tokenizer: Any) -> None:
    assert smollm2_tokenizer("")["input_ids"] == []
    assert read(Prompt("{text}", ("text",)), smollm2_tokenizer, "") == [[smollm2_tokenizer.pad_token_id]]


def test_a_space_of_the_tokenizers_own_is_no_part_of_an_answer():
    def alone(text: str) -> list[str]:
        return ("\u2581" + text).replace(" ", "\u2581").replace("\u2581", " \u2581").split()

    def like_llama_2(texts: list[str], add_special_tokens: bool) -> dict[str, list[list[str]]]:
        return {"input_ids": [alone(text) for text in texts]}

    assert like_llama_2([" good"], add_special_tokens=False)["input_ids"] == [["\u2581", "\u2581good"]]
    assert prompts.continuations(like_llama_2, [" good"]) == [["\u2581good"]]
