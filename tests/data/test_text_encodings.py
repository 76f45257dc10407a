"""Encodings of texts: what a model reads of one text, of two and of three."""

from __future__ import annotations

from typing import Any

import pytest
from image_encodings import spec

from tunesweep.build import build
from tunesweep.config import DatasetConfig
from tunesweep.data.encodings.checks import misfit
from tunesweep.errors import BadConfig, BadData


def made(name: str, **options: Any) -> Any:
    return build(spec(name) | options)


def shown(encoding: Any, example: Any) -> str:
    """Fill the template as plainly as can be."""
    parts = encoding.encode(example)
    values = (parts,) if isinstance(parts, str) else parts
    return str(encoding.template.format(**dict(zip(encoding.fields, values, strict=True))))


def test_text_is_left_as_it_is() -> None:
    assert made("text").encode(" Two\nlines. ") == " Two\nlines. "
    assert shown(made("text"), "a {b}") == "a {b}"


def test_pair_is_left_to_the_tokenizer_unless_there_is_a_joiner() -> None:
    assert made("pair").encode(("a", "b")) == ("a", "b")
    assert not made("pair").joined
    assert made("pair", joiner=" / ").joined
    assert shown(made("pair", joiner=" / "), ("a", "b")) == "a / b"
    assert shown(made("pair"), ("a", "b")) == "a\nb"  # where a prompt is read


def test_an_instruction_without_an_input_shows_no_trace_of_one() -> None:
    encoding = made("instruction")
    assert shown(encoding, ("Add.", "1 and 2")) == "Add.\n\n1 and 2\n\nAnswer:"
    for nothing in ("Add.", ("Add.", ""), ("Add.", " \n")):
        assert shown(encoding, nothing) == "Add.\n\nAnswer:"
    own = made("instruction", template="Do: {text}{text_pair}\n", joiner="\nwith ")
    assert shown(own, ("add", "1")) == "Do: add\nwith 1\n"
    assert shown(own, "add") == "Do: add\n"


def test_a_comparison_shows_both_answers_by_name() -> None:
    encoding = made("preference")
    assert shown(encoding, ("Why?", "So.", "{x}")) == "Prompt: Why?\n\nResponse A: So.\n\nResponse B: {x}"
    assert encoding.cut == "fields"


def test_a_document_of_a_running_text_is_left_as_it_is() -> None:
    assert made("blocks").encode(" = Title = ") == " = Title = "
    assert (made("blocks").max_length, made("blocks").joiner, made("blocks").stride) == (512, "\n", None)


@pytest.mark.parametrize(
    ("name", "example", "words"),
    [
        ("text", ("a", "b"), "text reads text, and an example has 2 texts: use encoding=pair or preference"),
        ("text", None, "text reads text, and an example has 0 texts: use"),
        ("pair", "a", "pair reads text, text_pair, and an .* 1 texts: set dataset.text_pair=COLUMN"),
        ("pair", ("a", "b", "c"), "pair reads text, .* has 3 texts"),
        ("instruction", ("a", "b", "c"), "instruction reads text, .* 3 texts: use encoding=preference"),
        ("preference", ("a", "b"), r"preference reads prompt, .* set dataset.responses=\[A,B\]"),
    ],
)
def test_an_example_of_another_shape_is_refused(name: str, example: Any, words: str) -> None:
    with pytest.raises(BadData, match=f"^encoding={words}"):
        made(name).encode(example)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("text", {"cut": "tial"}, "encoding.cut=tial is not an option.*did you mean 'tail'"),
        ("instruction", {"template": "{text}\nAnswer:"}, r"must have \{text_pair\} once"),
        ("preference", {"template": "{prompt}{response_a}{response_a}{response_b}"}, r"\{response_a\} once"),
        ("instruction", {"chat": "yes"}, "encoding.chat=yes must be true or false"),
        ("instruction", {"max_answer": 0}, "encoding.max_answer=0"),
        ("pair", {"joiner": ""}, "encoding.joiner='' would glue .*: give at least one character"),
        ("instruction", {"joiner": ""}, "encoding.joiner='' would"),
        ("instruction", {"template": 3}, "encoding.template=3 must be a text"),
        ("blocks", {"stride": 600}, "encoding.stride=600 would skip tokens: at most max_length=512"),
        ("blocks", {"stride": 0}, "encoding.stride=0"),
        ("blocks", {"bos": 1}, "encoding.bos=1"),
        ("blocks", {"joiner": None}, "encoding.joiner=None must be a text"),
        ("blocks", {"cut": "tail"}, "has no option 'cut'"),
    ],
)
def test_options_are_checked(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadConfig, match=words):
        made(name, **options)


def test_blocks_may_be_glued_and_may_just_touch() -> None:
    assert made("blocks", joiner="", stride=512, max_length=512).joiner == ""


PAIR, THREE = {"text_pair": "b"}, {"responses": ["a", "b"]}
FITS = {
    "text": [{}],
    "pair": [PAIR],
    "instruction": [{}, PAIR, {"task": "instruction"}, {"task": "instruction", **PAIR}],
    "preference": [THREE],
    "blocks": [{"task": "language_modeling"}],
}
SHAPES = [{}, PAIR, THREE, {"task": "language_modeling"}]


@pytest.mark.parametrize("name", FITS)
def test_planning_knows_which_encoding_reads_which_examples(name: str) -> None:
    for options in [*SHAPES, *FITS[name]]:
        found = misfit(made(name), DatasetConfig(name="mine", train="x", **options))
        assert (found is None) == (options in FITS[name]), (options, found)


def test_a_misfit_says_what_is_missing() -> None:
    rows, text = DatasetConfig(name="mine", train="x", **PAIR), DatasetConfig(name="mine", train="x")
    running = DatasetConfig(name="mine", train="x", task="language_modeling")
    assert misfit(made("text"), rows) == (
        "encoding=text reads text, and dataset=mine gives text, b: set dataset.text_pair or "
        "dataset.responses, or use encoding=text, pair or preference"
    )
    unread = "which encoding={} does not read: use encoding={}"
    assert misfit(made("blocks"), text) == (
        f"dataset=mine is made of rows, {unread.format('blocks', 'text, pair or preference')}"
    )
    assert misfit(made("text"), running) == (
        f"dataset=mine is a running text, {unread.format('text', 'blocks')}"
    )
