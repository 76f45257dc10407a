"""A running text as windows of tokens: what is learnt from, and what is scored.

Which tokens are scored: those that have a token before them in their window and were in no window before. So
the first token of a text is never scored. With a stride shorter than the context all others are; with stride
equal to context, the usual protocol, the first token of every window goes unscored too, as nothing in its
window predicts it. A BOS token before the text is not scored itself, and makes the text's first token scored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from tunesweep.errors import BadConfig

Span = tuple[int, int]  # characters of a text, from and up to


@dataclass(frozen=True)
class Window:
    """Token ids, how many of the last are scored, and the place of the first in the stream."""

    ids: Sequence[int]
    scored: int
    start: int


@dataclass(frozen=True)
class Stream:
    """A text, its token ids, and the character at which each of them begins.

    A token reaches to where the next begins. Of a character that is cut into several, the last has it all.
    """

    text: str
    ids: list[int]
    begins: list[int]


def stream(
    documents: Sequence[str],
    joiner: str,
    tokenizer: Callable[..., Mapping[str, Any]],
    bos: int | None = None,
) -> Stream:
    """Return documents as one stream; the joined text is tokenised as a whole, after the id `bos` if given.

    `tokenizer` is called as a fast tokenizer of transformers is: it must know where its tokens begin.
    """
    text = joiner.join(documents)
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    begins = [int(begin) for begin, _ in found["offset_mapping"]]
    begins[:1] = [0] if begins else []  # some tokenizers leave a space before a token out
    first = [] if bos is None else [bos]
    return Stream(text, first + list(found["input_ids"]), [0] * len(first) + begins)


def training_windows(ids: Sequence[int], context: int) -> list[Window]:
    """Return full blocks, one after the other; what is left at the end, less than a block, is dropped."""
    _check(context, context)
    starts = range(0, len(ids) - context + 1, context)
    return [Window(ids[start : start + context], context - 1, start) for start in starts]


def scoring_windows(ids: Sequence[int], context: int, stride: int | None = None) -> list[Window]:
    """Return windows over all ids, `stride` (the context by default) apart; the last may be shorter.

    A last window of one token is left out: nothing in it can be scored.
    """
    stride = context if stride is None else stride
    _check(context, stride)
    windows, covered = [], 0
    for start in range(0, len(ids), stride):
        end = min(start + context, len(ids))
        if scored := min(end - covered, end - start - 1):
            windows.append(Window(ids[start:end], scored, start))
        covered = end
        if end == len(ids):
            break
    return windows


def unscored(windows: Sequence[Window], source: Stream) -> list[Span]:
    """Return the characters of the tokens that no window scores, in order."""
    scored = np.zeros(len(source.ids), bool)
    for window in windows:
        end = window.start + len(window.ids)
        scored[end - window.scored : end] = True
    spans = pairwise([*source.begins, len(source.text)])
    return [span for span, seen in zip(spans, scored, strict=True) if not seen and span[0] < span[1]]


def extent(text: str, left_out: Sequence[Span] = ()) -> tuple[int, int]:
    """Return words and UTF-8 bytes of a text, without those of the spans that are left out.

    Words stand between white space, and each counts where it begins, so that it belongs to one token and no
    share of a word is ever guessed. lm-evaluation-harness (wikitext) counts the same, plus one at either end
    of a text that begins or ends with white space.
    """
    size = len(text.encode()) - sum(len(text[begin:end].encode()) for begin, end in left_out)
    words = np.array([match.start() for match in re.finditer(r"\S+", text)], dtype=np.int64)
    lost = [np.subtract(*np.searchsorted(words, (end, begin))) for begin, end in left_out]
    return len(words) - int(sum(lost)), size


def _check(context: int, stride: int) -> None:
    if context < 2:
        raise BadConfig(f"encoding.max_length={context} must be 2 or more: a token is predicted from others")
    if not 1 <= stride <= context:
        raise BadConfig(
            f"encoding.stride={stride} must be from 1 to encoding.max_length={context}: no token is skipped"
        )
