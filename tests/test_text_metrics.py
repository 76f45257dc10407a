"""Every measure of text against an independent implementation, in several scripts (R19)."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesweep import text_metrics

ENGLISH = [
    ("The cat sat on the mat, didn't it?", "A cat was sitting on the mat; it didn't move."),
    ("It costs $1,234.50 - about 12% more than in 2019-2020.", "It cost 1,234.50 dollars, 12 % more."),
    ('He said: "Go!" and left.', '"Go!" he said, and he left the room at once.'),
]
GERMAN = [
    ("Die Straße ist naß, weil es geregnet hat.", "Die Strasse ist nass, da es heute stark geregnet hat."),
    (
        "Über den Wolken muß die Freiheit grenzenlos sein.",
        "Über den Wolken ist die Freiheit grenzenlos.",
    ),
]
ARABIC = [
    ("ذهب الولد إلى المدرسة في الصباح الباكر.", "ذهب الولد الصغير إلى المدرسة في الصباح."),
    ("القطة تجلس على السجادة الحمراء", "جلست القطة على السجادة الحمراء في البيت"),
]
JAPANESE = [
    ("猫がマットの上に座っている。", "一匹の猫がマットの上に座っていました。"),
    ("今日は とても 天気が いいですね 。", "今日は 天気が とても いいです 。"),
]
CHINESE = [("猫坐在红色的垫子上", "一只猫坐在垫子上"), ("我今天很高兴见到你", "今天见到她我很高兴")]
HINDI = [
    ("बिल्ली चटाई पर बैठी है", "बिल्ली लाल चटाई पर बैठी थी"),
    ("मुझे हिन्दी पढ़ना पसंद है", "मुझे हिंदी पढ़ना अच्छा लगता है"),
]
CORPORA = {"english": ENGLISH, "german": GERMAN, "arabic": ARABIC, "japanese": JAPANESE}


def mteval(line: str) -> list[str]:
    """The tokens of NIST's mteval-v13a script."""
    line = f" {line} "
    line = re.sub(r"([{-~\[-` -&(-+:-@/])", r" \1 ", line)
    line = re.sub(r"([^0-9])([.,])", r"\1 \2 ", line)
    line = re.sub(r"([.,])([^0-9])", r" \1 \2", line)
    return re.sub(r"([0-9])(-)", r"\1 \2 ", line).split()


def grams(items: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(items[i : i + n]) for i in range(len(items) - n + 1)]


def matches(one: list[tuple[str, ...]], other: list[tuple[str, ...]]) -> int:
    """How many n-grams of one are found in the other, each of them used once."""
    left, found = list(other), 0
    for gram in one:
        if gram in left:
            left.remove(gram)
            found += 1
    return found


def plain_bleu(pairs: list[tuple[str, str]]) -> float:
    """Papineni et al. 2002, over the corpus; an order without a match counts 1 / 2^k (mteval-v13a)."""
    texts = [(mteval(prediction), mteval(reference)) for prediction, reference in pairs]
    logs, misses = 0.0, 0
    for n in range(1, 5):
        hits = sum(matches(grams(one, n), grams(other, n)) for one, other in texts)
        total = sum(len(grams(one, n)) for one, _ in texts)
        misses += hits == 0
        logs += math.log(hits / total if hits else 1 / (2**misses * total))
    ours, theirs = (sum(len(text[side]) for text in texts) for side in (0, 1))
    return 100 * min(1.0, math.exp(1 - theirs / ours)) * math.exp(logs / 4)


def plain_chrf(pairs: list[tuple[str, str]]) -> float:
    """Popović 2015: F2 of precision and recall, each averaged over character n-grams of 1 to 6, no spaces."""
    texts = [(list("".join(one.split())), list("".join(other.split()))) for one, other in pairs]
    precision = recall = 0.0
    for n in range(1, 7):
        hits = sum(matches(grams(one, n), grams(other, n)) for one, other in texts)
        precision += hits / sum(len(grams(one, n)) for one, _ in texts) / 6
        recall += hits / sum(len(grams(other, n)) for _, other in texts) / 6
    return 100 * 5 * precision * recall / (4 * precision + recall)


def table_subsequence(one: list[str], other: list[str]) -> int:
    """The textbook's table."""
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


def f1(common: int, one: list[str], other: list[str]) -> float:
    precision, recall = common / len(one), common / len(other)
    return 2 * precision * recall / (precision + recall) if common else 0.0


@pytest.mark.parametrize("language", [*CORPORA, "all"])
def test_bleu_and_chrf_equal_their_formulas(language):
    pairs = CORPORA.get(language) or [pair for pairs in CORPORA.values() for pair in pairs]
    found = text_metrics.scores(*zip(*pairs, strict=True))
    assert found["bleu"] == pytest.approx(plain_bleu(pairs), abs=1e-9)
    assert found["chrf"] == pytest.approx(plain_chrf(pairs), abs=1e-9)
    assert 0 < found["bleu"] < found["chrf"] < 100


def test_what_was_measured_is_named_with_its_version():
    found = text_metrics.signatures()
    assert found["bleu"].startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.")
    assert found["chrf"].startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.")


# In a process of its own: absl, which it imports, would close this one's captured output later on.
ROUGE = """
import json, sys
from rouge_score.rouge_scorer import RougeScorer
scorer = RougeScorer(["rougeL"], use_stemmer=False)
print(json.dumps([scorer.score(r, p)["rougeL"].fmeasure for p, r in json.load(sys.stdin)]))
"""


def test_rouge_l_equals_rouge_score_on_english():
    pairs = [*ENGLISH, ("", "a b"), ("x_y z", "y z x"), ("a b c d e f", "f e d c b a"), ("no", "yes")]
    told = subprocess.run(
        [sys.executable, "-c", ROUGE], input=json.dumps(pairs), capture_output=True, text=True, check=True
    )
    expected = json.loads(told.stdout)
    found = [text_metrics.rouge_l(prediction, reference) for prediction, reference in pairs]
    assert found == pytest.approx(expected, abs=1e-12)
    mean = text_metrics.scores(*zip(*pairs, strict=True))["rouge_l"]
    assert mean == pytest.approx(sum(expected) / len(expected), abs=1e-12)


def by_hand(text: str, language: str) -> list[str]:
    """Tokens without the module's tables: single characters, or what stands between spaces."""
    if language == "hindi":
        return text.split()
    return [char for char in text if char not in " 。"]


@pytest.mark.parametrize(
    ("language", "pairs"), [("japanese", JAPANESE), ("chinese", CHINESE), ("hindi", HINDI)]
)
def test_rouge_l_and_token_f1_equal_brute_force_elsewhere(language, pairs):
    for prediction, reference in pairs:
        one, other = by_hand(prediction, language), by_hand(reference, language)
        assert text_metrics.tokens(prediction) == one
        expected = f1(table_subsequence(one, other), one, other)
        assert text_metrics.rouge_l(prediction, reference) == pytest.approx(expected, abs=1e-12)
        expected = f1(matches(grams(one, 1), grams(other, 1)), one, other)
        assert text_metrics.token_f1(prediction, reference) == pytest.approx(expected, abs=1e-12)
        assert 0 < expected < 1


@pytest.mark.parametrize("text", ["猫が好きです", "قطة", "นี่คือแมว", "고양이가 있다", "кот", "👍", "?!", ""])
def test_equal_texts_are_alike_in_every_script(text):
    # rouge-score drops all but a-z and 0-9, and gives nought for two equal Japanese texts.
    for measure in (text_metrics.rouge_l, text_metrics.token_f1, text_metrics.exact_match):
        assert measure(text, text) == 1
        assert measure(text, "something else") == 0
        assert measure("something else", text) == 0


@settings(max_examples=200)
@given(st.text("abcd", max_size=90), st.text("abcd", max_size=90))
def test_a_common_subsequence_is_as_long_as_the_table_says(one, other):
    assert text_metrics.common_subsequence(one, other) == table_subsequence(list(one), list(other))


@settings(max_examples=200)
@given(
    st.lists(st.sampled_from(["the", "cat", "a", "mat", "The", "CAT"]), min_size=1),
    st.lists(st.just("cat"), min_size=1),
)
def test_token_f1_counts_a_token_as_often_as_it_occurs(one, other):
    lower = [word.lower() for word in one]
    expected = f1(matches(grams(lower, 1), grams(other, 1)), one, other)
    assert text_metrics.token_f1(" ".join(one), " ".join(other)) == pytest.approx(expected, abs=1e-12)


def test_each_example_is_measured_alone_for_paired_tests():
    pairs = [*GERMAN, *JAPANESE]
    each = text_metrics.per_example(*zip(*pairs, strict=True))
    assert each["chrf"] == pytest.approx([plain_chrf([pair]) for pair in pairs], abs=1e-9)
    found = text_metrics.scores(*zip(*pairs, strict=True))
    for name in ("rouge_l", "token_f1", "exact_match"):
        assert found[name] == pytest.approx(sum(each[name]) / 4)
        assert each[name] == [getattr(text_metrics, name)(*pair) for pair in pairs]


def test_of_nothing_nothing_is_measured_and_lengths_must_agree():
    assert text_metrics.scores([], []) == {}
    with pytest.raises(ValueError, match="zip"):
        text_metrics.scores(["a"], [])
    assert Counter(text_metrics.scores([""], ["text"]).values()) == Counter({0.0: 5})
