from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torchmetrics.text import Perplexity

from tunesweep import perplexity
from tunesweep.data.blocks import scoring_windows, stream, unscored


def test_token_perplexity_equals_torchmetrics():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 9, 11, generator=generator)
    targets = torch.randint(11, (6, 9), generator=generator)
    losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
    expected = float(Perplexity()(logits, targets))
    found = perplexity.token(losses.sum(1).numpy(), np.full(6, 9))
    assert found["perplexity"] == pytest.approx(expected, rel=1e-5)
    assert found["loss"] == pytest.approx(math.log(expected), rel=1e-5)


def test_windows_weigh_by_their_tokens():
    found = perplexity.token(np.array([10.0, 2.0]), np.array([9, 1]))
    assert found["loss"] == pytest.approx(12 / 10)  # and not (10 / 9 + 2) / 2
    assert found["perplexity"] == pytest.approx(math.exp(1.2))


def test_every_unit_comes_from_the_same_nats():
    # Each byte as likely as one of 256: 8 bits, whatever a word or a token is.
    text = "größe zählt"  # 2 words, 14 bytes
    nll, count = np.array([14 * math.log(256)]), np.array([5])
    found = perplexity.of_text(nll, count, text)
    assert found["bits_per_byte"] == pytest.approx(8)
    assert found["byte_perplexity"] == pytest.approx(256)
    assert found["word_perplexity"] == pytest.approx(256**7)
    assert perplexity.token(nll, count)["perplexity"] == pytest.approx(256 ** (14 / 5))


@pytest.mark.parametrize("stride", [1, 3, 4, 8])
@pytest.mark.parametrize("bos", [None, 0])
def test_bits_per_byte_do_not_depend_on_what_is_left_unscored(stride, bos):
    # A model for which every byte has 8 bits: only the bytes whose loss was taken may count.
    text = "Die Größe der Bäume ändert sich über viele Jahre."
    source = stream([text], "\n", by_letters, bos)
    windows = scoring_windows(source.ids, 8, stride)
    sizes = [0] * (bos is not None) + [len(char.encode()) for char in text]
    ends = [window.start + len(window.ids) for window in windows]
    nll = [sum(sizes[e - w.scored : e]) * math.log(256) for e, w in zip(ends, windows, strict=True)]
    count = np.array([window.scored for window in windows])
    found = perplexity.of_text(np.array(nll), count, text, unscored(windows, source))
    assert found["bits_per_byte"] == pytest.approx(8, abs=1e-12)
    whole = perplexity.of_text(np.array(nll), count, text)["bits_per_byte"]
    covered = bos is not None and stride < 8
    assert whole == pytest.approx(8, abs=1e-12) if covered else whole < 8


def by_letters(text: str, **_: object) -> dict[str, list[object]]:
    """A tokenizer whose tokens are single characters."""
    return {
        "input_ids": [ord(char) for char in text],
        "offset_mapping": [(place, place + 1) for place in range(len(text))],
    }


def test_the_interval_equals_a_regression_without_constant_weighted_by_tokens():
    rng = np.random.default_rng(0)
    count = rng.integers(20, 60, 40)
    nll = count * 3 + rng.normal(size=40) * 8
    loss = nll.sum() / count.sum()
    n, mean = len(nll), count.mean()
    # Cochran 6.4 from moments: (s_y^2 + R^2 s_x^2 - 2 R s_xy) / (n mean(x)^2).
    (xx, xy), (_, yy) = np.cov(count, nll, ddof=1)
    expected = math.sqrt((yy + loss**2 * xx - 2 * loss * xy) / n) / mean
    assert perplexity.standard_error(nll, count) == pytest.approx(expected, rel=1e-9)
    low, high = perplexity.token(nll, count)["interval"]
    half = stats.t.ppf(0.975, 39) * expected
    assert (low, high) == pytest.approx((math.exp(loss - half), math.exp(loss + half)), rel=1e-9)


def test_of_equal_counts_the_standard_error_is_that_of_a_mean():
    nll = np.array([3.0, 5.0, 4.0, 8.0])
    found = perplexity.standard_error(nll, np.full(4, 10))
    assert found == pytest.approx(stats.sem(nll / 10), rel=1e-12)


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(1000):
        count = rng.integers(5, 50, 25)
        nll = np.array([rng.exponential(2.0, n).sum() for n in count])
        low, high = perplexity.token(nll, count)["interval"]
        held += low <= math.exp(2.0) <= high
    assert 920 <= held <= 975


def test_of_nothing_there_is_no_perplexity():
    nothing = np.array([]), np.array([])
    assert perplexity.token(*nothing) == {}
    assert perplexity.of_text(*nothing, "some text") == {}
    assert perplexity.of_text(np.array([1.0]), np.array([1]), "") == {}
    assert perplexity.token(np.array([0.0]), np.array([0])) == {}
    one = perplexity.token(np.array([2.0]), np.array([2]))
    assert one == {"loss": 1.0, "perplexity": pytest.approx(math.e)}  # one window has no spread


def test_what_no_float_holds_is_absent():
    # A text without spaces is one word, and may be a very unlikely one.
    found = perplexity.of_text(np.array([5000.0]), np.array([600]), "猫" * 1000)
    assert "word_perplexity" not in found
    assert found["bits_per_byte"] == pytest.approx(5000 / 3000 / math.log(2))
    assert perplexity.token(np.array([1e6, 1e6]), np.array([1, 1])) == {"loss": 1e6}
    assert "word_perplexity" not in perplexity.of_text(np.array([5.0]), np.array([6]), "  \n ")


def test_a_protocol_names_all_that_a_perplexity_depends_on():
    name = perplexity.protocol(context=512, stride=256, joiner="\n", bos=False)
    assert name == r"token, concatenated, context 512, stride 256, joiner '\n', no BOS"
    assert perplexity.protocol(2048, 2048, "", True).endswith("context 2048, stride 2048, joiner '', BOS")
