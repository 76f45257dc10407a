from __future__ import annotations

import math
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesweep import perplexity
from tunesweep.data.blocks import extent, scoring_windows, stream, training_windows, unscored
from tunesweep.errors import BadConfig


def by_words(text: str, **wanted: Any) -> dict[str, list[Any]]:
    """A tokenizer whose tokens are words, each with the space before it left out."""
    assert wanted == {"add_special_tokens": False, "return_offsets_mapping": True}
    spans = [match.span() for match in re.finditer(r"\S+", text)]
    return {"input_ids": [len(text[a:b]) for a, b in spans], "offset_mapping": spans}


def test_training_blocks_are_full_and_do_not_overlap():
    windows = training_windows(list(range(11)), 4)
    assert [window.ids for window in windows] == [[0, 1, 2, 3], [4, 5, 6, 7]]  # 8, 9, 10 are dropped
    assert [(window.scored, window.start) for window in windows] == [(3, 0), (3, 4)]
    assert training_windows([1, 2, 3], 4) == []


@pytest.mark.parametrize(
    ("n", "context", "stride", "expected"),
    [
        (10, 4, None, [(0, 4, 3), (4, 8, 3), (8, 10, 1)]),  # the usual protocol
        (9, 4, 4, [(0, 4, 3), (4, 8, 3)]),  # a last window of one token has nothing to score
        (10, 4, 2, [(0, 4, 3), (2, 6, 2), (4, 8, 2), (6, 10, 2)]),
        (9, 4, 3, [(0, 4, 3), (3, 7, 3), (6, 9, 2)]),
        (9, 4, 2, [(0, 4, 3), (2, 6, 2), (4, 8, 2), (6, 9, 1)]),
        (3, 4, 4, [(0, 3, 2)]),
        (4, 4, 1, [(0, 4, 3)]),
        (1, 4, 4, []),
        (0, 4, 4, []),
    ],
)
def test_scoring_windows_by_hand(n, context, stride, expected):
    windows = scoring_windows(list(range(n)), context, stride)
    found = [(window.start, window.start + len(window.ids), window.scored) for window in windows]
    assert found == expected
    assert [window.ids for window in windows] == [list(range(start, end)) for start, end, _ in expected]


def hugging_face(n: int, context: int, stride: int) -> list[tuple[int, int, int]]:
    """The loop of transformers' page "Perplexity of fixed-length models"; labels are shifted within."""
    found, before = [], 0
    for begin in range(0, n, stride):
        end = min(begin + context, n)
        labels = np.arange(begin, end)
        labels[: -(end - before)] = -100
        if scored := int((labels[1:] != -100).sum()):
            found.append((begin, end, scored))
        before = end
        if end == n:
            break
    return found


@given(st.integers(0, 200), st.integers(2, 40), st.data())
def test_scoring_windows_are_those_of_the_published_loop(n, context, data):
    stride = data.draw(st.integers(1, context))
    windows = scoring_windows(range(n), context, stride)
    found = [(window.start, window.start + len(window.ids), window.scored) for window in windows]
    assert found == hugging_face(n, context, stride)
    scored = [i for w in windows for i in w.ids[len(w.ids) - w.scored :]]
    left_out = {0} if stride < context else set(range(0, n, context))
    assert scored == [i for i in range(n) if i not in left_out]  # each once, in order


@pytest.mark.parametrize(
    ("context", "stride", "message"),
    [
        (1, 1, r"encoding\.max_length=1 must be 2 or more"),
        (4, 5, r"encoding\.stride=5 must be from 1 to encoding\.max_length=4"),
        (4, 0, r"encoding\.stride=0 must be"),
    ],
)
def test_windows_that_would_skip_tokens_or_predict_none_are_refused(context, stride, message):
    with pytest.raises(BadConfig, match=message):
        scoring_windows([1, 2, 3], context, stride)


def test_documents_are_joined_before_they_are_tokenised():
    source = stream(["ab c", " d"], "\n", by_words)
    assert (source.text, source.ids, source.begins) == ("ab c\n d", [2, 1, 1], [0, 3, 6])
    with_bos = stream([" ab"], "", by_words, bos=9)
    assert (with_bos.ids, with_bos.begins) == ([9, 2], [0, 0])  # the first space is the first token's
    assert stream([], "\n", by_words).ids == []


@given(
    st.lists(st.sampled_from(["a", "bé", "猫", " ", "  ", "\n"]), max_size=60), st.integers(2, 9), st.data()
)
def test_every_byte_and_word_belongs_to_one_token(pieces, context, data):
    source = stream(["".join(pieces)], "", by_words, data.draw(st.sampled_from([None, 7])))
    windows = scoring_windows(source.ids, context, data.draw(st.integers(1, context)))
    left_out = unscored(windows, source)
    scored = {i for w in windows for i in range(w.start + len(w.ids) - w.scored, w.start + len(w.ids))}
    spans = list(pairwise([*source.begins, len(source.text)]))
    parts = [source.text[a:b] for i, (a, b) in enumerate(spans) if i in scored]
    assert "".join(source.text[a:b] for a, b in spans) == (source.text if source.ids else "")
    words, size = extent(source.text, left_out)
    if source.ids:
        assert size == sum(len(part.encode()) for part in parts)
        assert words == sum(bool(part.strip()) for part in parts)  # here a token is a word


def test_words_and_bytes_are_counted_from_the_raw_text():
    assert extent("größe zählt\n\nhier ") == (3, 21)
    assert extent("") == (0, 0)
    assert extent("one two three", [(0, 5), (7, 13)]) == (0, 2)  # `two` begins in the first span
    assert extent("one two three", [(5, 9)]) == (2, 9)  # `three` begins in the span
    text = "Ein Text , wie lm-evaluation-harness ihn zählt ."
    assert extent(text)[0] == len(re.split(r"\s+", text))


def lines_of(path: Path, n: int | None) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:n]


def independent(text: str, tokenizer: Any, model: Any) -> tuple[float, int]:
    """Mean loss of a text's tokens in blocks of 512 and their number, written without our modules."""
    import torch
    from torch.nn.functional import cross_entropy

    ids, losses = torch.tensor(tokenizer(text, add_special_tokens=False).input_ids), []
    for block in ids.split(512):
        if len(block) > 1:
            logits = model(block[None]).logits[0].float()
            losses.append(cross_entropy(logits[:-1], block[1:], reduction="none"))
    return float(torch.cat(losses).double().mean()), sum(map(len, losses))


def ours(documents: list[str], tokenizer: Any, model: Any, stride: int = 512) -> dict[str, Any]:
    """The same from our windows, two at a time and padded on the right, as a sweep would."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    source = stream(documents, "\n", tokenizer)
    windows, sums = scoring_windows(source.ids, 512, stride), []
    for at in range(0, len(windows), 2):
        part = windows[at : at + 2]
        ids = pad_sequence([torch.tensor(window.ids) for window in part], batch_first=True)
        mask = pad_sequence([torch.ones(len(window.ids)) for window in part], batch_first=True)
        scores = model(ids, attention_mask=mask).logits.float().log_softmax(-1)
        for row, window in enumerate(part):
            places = torch.arange(len(window.ids))[-window.scored :]
            sums.append(-float(scores[row, places - 1, ids[row, places]].double().sum()))
    nll, count = np.array(sums), np.array([window.scored for window in windows])
    left_out = unscored(windows, source)
    found = perplexity.token(nll, count) | perplexity.of_text(nll, count, source.text, left_out)
    return found | {"count": int(count.sum())}


@pytest.fixture(scope="module")
def smollm2(smollm2_folder: Path) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(str(smollm2_folder), dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(str(smollm2_folder))
    return tokenizer, model.eval().requires_grad_(False)


@pytest.mark.data
@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(18, marks=pytest.mark.slow),
        pytest.param(None, marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
    ],
)
def test_perplexity_of_wikitext_equals_an_independent_computation(lines, smollm2, data_folder):
    documents = lines_of(data_folder / "wikitext2" / "wiki.valid.raw", lines)
    tokenizer, model = smollm2
    loss, n = independent("\n".join(documents), tokenizer, model)
    found = ours(documents, tokenizer, model)
    assert found["count"] == n > 511  # a shorter window among them, padded to its neighbour
    assert found["perplexity"] == pytest.approx(math.exp(loss), abs=1e-3)
    low, high = found["interval"]
    assert low < found["perplexity"] < high


@pytest.mark.data
def test_of_wikitext_the_first_token_of_every_block_goes_unscored(data_folder, smollm2_tokenizer):
    documents = lines_of(data_folder / "wikitext2" / "wiki.valid.raw", None)
    source = stream(documents, "\n", smollm2_tokenizer)
    windows = scoring_windows(source.ids, 512)
    n, size = len(source.ids), (data_folder / "wikitext2" / "wiki.valid.raw").stat().st_size
    assert sum(window.scored for window in windows) == n - math.ceil(n / 512)
    _, scored = extent(source.text, unscored(windows, source))
    lost = [
        text.replace("\ufffd", "")
        for text in smollm2_tokenizer.batch_decode([[i] for i in source.ids[::512]])
    ]
    assert scored == size - sum(len(text.encode()) for text in lost)  # of a piece of a character, none
    sliding = scoring_windows(source.ids, 512, 256)
    assert sum(window.scored for window in sliding) == n - 1
    assert extent(source.text, unscored(sliding, source))[1] == size - len(lost[0])


@pytest.mark.data
def test_a_byte_level_tokenizer_gives_every_byte_to_one_token(data_folder, smollm2_tokenizer):
    text = (data_folder / "wikitext2" / "wiki.valid.raw").read_text(encoding="utf-8")[:20_000]
    text += " 猫が🐈‍⬛です naïve — größer" * 20
    source = stream([text], "\n", smollm2_tokenizer)
    sizes = [len(text[a:b].encode()) for a, b in pairwise([*source.begins, len(text)])]
    assert sum(sizes) == len(text.encode())
    # A token of whole characters has the bytes that it decodes to.
    decoded = [smollm2_tokenizer.decode([token]) for token in source.ids]
    whole = [
        len(word.encode()) == size for word, size in zip(decoded, sizes, strict=True) if "\ufffd" not in word
    ]
    assert len(decoded) > len(whole) > 4000
    assert all(whole)
