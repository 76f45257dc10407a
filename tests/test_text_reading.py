"""How measures read texts: tokens in several scripts, short answers, and numbers (R19)."""

from __future__ import annotations

import re
import string
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesweep import text_metrics


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("ＡＢＣ　１２", ["abc", "12"]),  # full width
        ("ｶﾞｷﾞ", ["ガ", "ギ"]),  # half width, with their marks
        ("cafe\u0301 café", ["café", "café"]),
        ("価格はiPhone3台分です", [*"価格は", "iphone3", *"台分です"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),  # vowel signs are marks, no letters
        ("ที่นี่", ["ที่", "นี่"]),
        ("한국어 문장", ["한국어", "문장"]),  # has spaces
        ("人々 コーヒー", [*"人々コーヒー"]),
        ("snake_case, kebab-case", ["snake", "case", "kebab", "case"]),
        ("👍 👎", ["👍", "👎"]),
        (" ", []),
    ],
)
def test_tokens_are_words_or_letters_of_scripts_without_spaces(text, tokens):
    assert text_metrics.tokens(text) == tokens


def squad(text: str) -> str:
    """`normalize_answer` of SQuAD's evaluation script, from its description."""
    text = "".join(char for char in text.lower() if char not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


@settings(max_examples=300)
@given(st.text(string.ascii_letters + string.digits + string.punctuation + " ", max_size=30))
def test_normalising_is_squads_on_plain_text(text):
    for whole in (text, f"{text} an answer", f"The {text}!"):
        if expected := squad(whole):
            assert text_metrics.normalise(whole) == expected


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("The Cat.", "cat", True),
        ("「猫」。", "猫", True),
        ("¿Qué?", "qué", True),
        ("STRASSE", "straße", True),
        ("cat sat", "sat cat", False),
        ("+", "-", False),  # SQuAD's script makes nothing of either, and so the same
        ("A", "", False),
        ("A.", "a", True),
        ("", " ", True),
    ],
)
def test_exact_match_looks_past_case_punctuation_and_articles(one, other, same):
    assert text_metrics.exact_match(one, other) == same


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("She has 3 apples and buys 4, so 7.", "7"),
        ("48/2 = <<48/2=24>>24 clips\n#### 72", "72"),
        ("#### 1,000\nThat was question 5", "1000"),
        ("#### Step 1\nso it is 42", "42"),
        ("It costs $1,234,567.50.", "1234567.5"),
        ("-$5", "-5"),
        ("$-5", "-5"),
        ("it is −12.5 degrees", "-12.5"),
        ("答えは-5です", "-5"),
        ("10-5", "5"),
        ("pages 10–20", "20"),
        ("- 5 apples", "5"),
        ("GPT-4", "4"),
        ("50%", "50"),
        ("about .5", "0.5"),
        ("wait...5", "5"),
        ("1.5e3 m", "1500"),
        ("5.0", "5"),
        ("１２．５", "12.5"),
        ("٣٫٥", "3.5"),
        ("12,34", "34"),  # no group of three: two numbers
        ("5² is a square", "5"),
        ("1" + "0" * 5000, "1" + "0" * 5000),
    ],
)
def test_a_number_is_read_as_people_write_it(text, number):
    assert text_metrics.number(text) == Decimal(number)


def test_numbers_are_compared_where_the_reference_has_one():
    predictions = ["so 7", "none", "the answer is 72.0", "9"]
    references = ["7", "8", "x #### 72", "no number"]
    each = text_metrics.per_example(predictions, references)["numeric_match"]
    assert each == [1.0, 0.0, 1.0, None]
    assert text_metrics.scores(predictions, references)["numeric_match"] == pytest.approx(2 / 3)
    assert "numeric_match" not in text_metrics.scores(["7"], ["seven"])
    assert "numeric_match" not in text_metrics.per_example(["7"], ["seven"])
    assert text_metrics.number("no digits") is None
