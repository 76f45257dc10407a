"""Cutting: never too long, never more than needed, nothing out of order, nothing lost wholly."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from tunesweep.data.cutting import HOW, fit
from tunesweep.errors import BadConfig

LENGTHS = st.lists(st.integers(0, 40), min_size=1, max_size=4)


def numbered(lengths: list[int]) -> list[list[int]]:
    """Tokens that say where they stood: 203 is the fourth of the third field."""
    return [[100 * place + token for token in range(length)] for place, length in enumerate(lengths)]


@pytest.mark.parametrize("how", HOW)
@given(lengths=LENGTHS, budget=st.integers(0, 100))
@settings(max_examples=150, deadline=None)
def test_what_is_left(how: str, lengths: list[int], budget: int) -> None:
    fields = numbered(lengths)
    kept = fit(fields, budget, how)
    assert sum(map(len, kept)) == min(sum(lengths), budget)  # no longer than that, and no shorter
    for before, after in zip(fields, kept, strict=True):
        assert [token for token in before if token in set(after)] == after
        if before and budget >= len(lengths):
            assert after


@given(lengths=LENGTHS, budget=st.integers(1, 100), how=st.sampled_from(["middle", "fields"]))
@settings(max_examples=100, deadline=None)
def test_shares_are_equal_but_for_what_short_fields_leave(lengths: list[int], budget: int, how: str) -> None:
    kept = [len(field) for field in fit(numbered(lengths), budget, how)]
    shortened = [share for share, length in zip(kept, lengths, strict=True) if share < length]
    if shortened:  # who lost something has no less than anybody else, to a token
        assert min(shortened) >= max(kept) - 1


FIELDS = numbered([6, 2, 4])


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("tail", [[0, 1, 2, 3, 4], [100], [200]]),
        ("head", [[5], [100, 101], [200, 201, 202, 203]]),
        ("middle", [[0, 1, 5], [100, 101], [200, 203]]),  # the odd token goes to the longest
        ("fields", [[0, 1, 2], [100, 101], [200, 201]]),
    ],
)
def test_seven_of_twelve_tokens_by_hand(how: str, expected: list[list[int]]) -> None:
    assert fit(FIELDS, 7, how) == expected


def test_one_text_by_hand() -> None:
    one = [list(range(9))]
    assert {how: fit(one, 4, how)[0] for how in HOW} == {
        "tail": [0, 1, 2, 3],
        "head": [5, 6, 7, 8],
        "middle": [0, 1, 7, 8],
        "fields": [0, 1, 2, 3],
    }


@given(first=st.integers(1, 30), second=st.integers(1, 30), budget=st.integers(2, 40))
@settings(max_examples=100, deadline=None)
def test_the_tail_of_a_pair_is_cut_as_tokenizers_cut_it(first: int, second: int, budget: int) -> None:
    tokenizer = Tokenizer(models.WordLevel({f"w{n}": n for n in range(200)}, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.enable_truncation(budget, strategy="longest_first")
    fields = numbered([first, second])
    texts = [" ".join(f"w{token}" for token in field) for field in fields]
    kept = [token for field in fit(fields, budget, "tail") for token in field]
    assert kept == tokenizer.encode(*texts).ids


def test_another_way_is_refused() -> None:
    with pytest.raises(BadConfig, match=r"encoding\.cut=both"):
        fit(FIELDS, 7, "both")
