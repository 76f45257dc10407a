"""Perplexity and bits per byte, from summed negative log-likelihoods in nats (R18).

Sums and counts are arrays [windows], one entry per window of a text or per answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, sqrt

import numpy as np
from scipy.special import stdtrit

from tunesweep.data.blocks import extent

Array = np.ndarray
LARGEST = 700.0  # exp of more is no float any more


def token(nll: Array, count: Array, level: float = 0.95) -> dict[str, float | list[float]]:
    """Return loss (nats per scored token), perplexity and its interval; of no tokens, nothing."""
    if not np.sum(count):
        return {}
    loss = float(np.sum(nll, dtype=np.float64) / np.sum(count))
    found: dict[str, float | list[float]] = {"loss": loss, **_powers(perplexity=loss)}
    error = standard_error(nll, count)
    if error is None or "perplexity" not in found:
        return found
    half = float(stdtrit(len(nll) - 1, (1 + level) / 2)) * error
    return found | {"interval": [exp(loss - half), exp(min(loss + half, LARGEST))]}


def of_text(
    nll: Array, count: Array, text: str, unscored: Sequence[tuple[int, int]] = ()
) -> dict[str, float]:
    """Return word_perplexity, byte_perplexity and bits_per_byte of the scored text; of none, nothing.

    `unscored` are the characters that no loss was taken of (`blocks.unscored`): their words and bytes do not
    count. Without it the whole text counts, which is right where every token was scored, as after a BOS.
    """
    words, size = extent(text, unscored)
    if not np.sum(count) or not size:
        return {}
    total = float(np.sum(nll, dtype=np.float64))
    found = {"bits_per_byte": total / size / log(2)} | _powers(byte_perplexity=total / size)
    return found | (_powers(word_perplexity=total / words) if words else {})


def standard_error(nll: Array, count: Array) -> float | None:
    """Return the standard error of the loss per token over windows; of one window, None.

    The loss is a ratio, and its linearised variance n / (n - 1) * sum((nll - loss * count)^2) / sum(count)^2
    (Cochran, Sampling Techniques, 1977, section 6.4). Windows are taken as independent, though neighbours in
    one document are not quite.
    """
    nll, count, n = np.asarray(nll, np.float64), np.asarray(count, np.float64), len(nll)
    if n < 2 or not count.sum():
        return None
    residuals = nll - nll.sum() / count.sum() * count
    return float(sqrt(n / (n - 1) * (residuals**2).sum()) / count.sum())


def protocol(context: int, stride: int, joiner: str, bos: bool) -> str:
    """Return a name of all that a token perplexity depends on, model and tokenizer apart."""
    begins = "BOS" if bos else "no BOS"
    return f"token, concatenated, context {context}, stride {stride}, joiner {joiner!r}, {begins}"


def _powers(**rates: float) -> dict[str, float]:
    """Return e to each rate, without those that no float holds: a text without spaces is one long word."""
    return {name: exp(rate) for name, rate in rates.items() if rate < LARGEST}
