"""How like a reference a written text is: pure functions of two texts, in any script.

BLEU and chrF run from 0 to 100 and are taken over the whole corpus, as published; all others are means over
the examples, from 0 to 1. BLEU splits words at spaces: of Japanese, Chinese or Thai read chrF instead.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import cache
from typing import Any

# Letters of scripts that put no spaces between words: kana, Han, Thai, Lao, Myanmar, Khmer.
_UNSPACED = (
    r"\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
    r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
    r"\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e46\u0e81-\u0eb0\u0eb2\u0eb3\u0ebd\u0ec0-\u0ec6\u0edc-\u0edf"
    r"\u1000-\u102a\u103f\u1050-\u1055\u1780-\u17b3"
)
# A comma within a number stands before three digits; a minus is a sign only where no term goes before it.
_NUMBER = (
    r"(?P<sign>(?<![A-Za-z0-9)\]%.])-)?(?:[$€£¥₹]\s?)?"
    r"(?P<digits>\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|(?<![\w.])\.\d+)"
    r"(?P<exponent>[eE][+-]?\d{1,3}(?!\w))?"
)
_ANSWER = re.compile(r"(?<!#)####[^\S\n]*" + _NUMBER)
_ANY_NUMBER = re.compile(_NUMBER)
_SIGNS = str.maketrans({"−": "-", "–": "-", "－": "-", "，": ",", "．": ".", "٬": ",", "٫": "."})


def scores(predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Return every measure that can be had; of no examples, none.

    bleu and chrf as `signatures` says; rouge_l, token_f1, exact_match; numeric_match over the examples whose
    reference has a number.
    """
    pairs = list(zip(predictions, references, strict=True))
    if not pairs:
        return {}
    means = {name: _mean(values) for name, values in _each(pairs).items()}
    sources = {name: metric.corpus_score(list(predictions), [list(references)]) for name, metric in _corpus()}
    return {name: float(found.score) for name, found in sources.items()} | means


def per_example(predictions: Sequence[str], references: Sequence[str]) -> dict[str, list[float | None]]:
    """Return what paired tests need: chrf (0 to 100), rouge_l, token_f1, exact and numeric match each.

    Without a number in its reference an example has no numeric_match; where none has one it is left out.
    """
    pairs = list(zip(predictions, references, strict=True))
    chrf = dict(_corpus())["chrf"]
    found: dict[str, list[float | None]] = {"chrf": [chrf.sentence_score(x, [y]).score for x, y in pairs]}
    return found | _each(pairs)


def signatures() -> dict[str, str]:
    """Return sacrebleu's own names of what it measured, with its version."""
    for _, metric in (found := _corpus()):
        metric.corpus_score(["a"], [["a"]])  # the number of references is part of the name
    return {name: str(metric.get_signature()) for name, metric in found}


def tokens(text: str) -> list[str]:
    """Return words of letters, marks and digits, case-folded after NFKC.

    Of scripts without spaces each letter, with its marks, is a token. Of a text of other signs alone, such as
    an emoji, tokens are what stands between spaces.
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    return _token().findall(plain) or plain.split()


def rouge_l(prediction: str, reference: str) -> float:
    """Return the F1 of the longest common subsequence of tokens (Lin 2004, W04-1013)."""
    ours, theirs = tokens(prediction), tokens(reference)
    return _f1(common_subsequence(ours, theirs), len(ours), len(theirs))


def token_f1(prediction: str, reference: str) -> float:
    """Return the F1 of the tokens in common, counted as often as they occur (Rajpurkar et al. 2016)."""
    ours, theirs = tokens(prediction), tokens(reference)
    return _f1((Counter(ours) & Counter(theirs)).total(), len(ours), len(theirs))


def exact_match(prediction: str, reference: str) -> float:
    """Return 1.0 where both texts are the same after `normalise`."""
    return float(normalise(prediction) == normalise(reference))


def normalise(text: str) -> str:
    """Return a text without case, punctuation, English articles and extra space, as SQuAD's script does.

    Source: Rajpurkar et al. 2016 (arXiv:1606.05250). Two things differ: punctuation is that of all scripts,
    and a step that would leave nothing is left out, so that `+` is not `-` and `A` is not an empty answer.
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    bare = "".join(char for char in plain if not _is_punctuation(char))
    bare = bare if bare.strip() else plain
    without = re.sub(r"\b(a|an|the)\b", " ", bare)
    return " ".join((without if without.strip() else bare).split())


def numeric_match(prediction: str, reference: str) -> float | None:
    """Return 1.0 where both texts come to the same number; None where the reference has none."""
    wanted = number(reference)
    return None if wanted is None else float(number(prediction) == wanted)


def number(text: str) -> Decimal | None:
    """Return the number after `####` (Cobbe et al. 2021, arXiv:2110.14168), else the text's last, else None.

    `-$1,234.50` is -1234.5, and `50%` is 50: signs of currency and percent are dropped, nothing is converted.
    """
    plain = text.translate(_SIGNS)
    found = _ANSWER.search(plain) or next(reversed(list(_ANY_NUMBER.finditer(plain))), None)
    if found is None:
        return None
    digits = found["digits"].replace(",", "")
    return Decimal(f"{found['sign'] or ''}{digits}{found['exponent'] or ''}")


def common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the length of the longest common subsequence, a row of the table in one whole number.

    Source: Hyyrö 2004, "Bit-parallel LCS-length computation revisited": bits that became zero are counted.
    """
    places: dict[str, int] = {}
    for place, token in enumerate(one):
        places[token] = places.get(token, 0) | 1 << place
    full = row = (1 << len(one)) - 1
    for token in other:
        hits = row & places.get(token, 0)
        row = (row + hits | row - hits) & full
    return len(one) - row.bit_count()


def _each(pairs: Sequence[tuple[str, str]]) -> dict[str, list[float | None]]:
    measures: dict[str, Callable[[str, str], float | None]] = {
        "rouge_l": rouge_l,
        "token_f1": token_f1,
        "exact_match": exact_match,
        "numeric_match": numeric_match,
    }
    columns = {name: [measure(*pair) for pair in pairs] for name, measure in measures.items()}
    return {name: values for name, values in columns.items() if any(value is not None for value in values)}


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known)


def _f1(common: int, one: int, other: int) -> float:
    """Two texts without a token are alike; otherwise 2PR / (P + R), written with counts."""
    return 2 * common / (one + other) if one + other else 1.0


def _corpus() -> list[tuple[str, Any]]:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    return [("bleu", BLEU(force=True)), ("chrf", CHRF())]  # force: no advice about tokenised texts


@cache
def _token() -> re.Pattern[str]:
    """Return what a token is; `\\w` alone would cut Hindi words at their vowel signs, which are marks."""
    marks = "".join(chr(code) for code in range(0x20000) if unicodedata.category(chr(code))[0] == "M")
    return re.compile(rf"[{_UNSPACED}][{marks}]*|(?:[^\W_{_UNSPACED}][{marks}]*)+")


@cache
def _is_punctuation(char: str) -> bool:
    """ASCII counts signs such as `$` and `+` as punctuation, as SQuAD's script does."""
    return char in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~" or unicodedata.category(char)[0] == "P"
