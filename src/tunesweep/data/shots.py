"""Which rows of train are shown as solved examples."""

from __future__ import annotations

import numpy as np

from tunesweep.data.allocation import Counts, codes_of, draw, generator
from tunesweep.data.examples import Examples, Inputs
from tunesweep.errors import BadConfig, BadData

CHUNK = 64  # inputs that are compared with all of train at once: 200 MB beside 400,000 rows


def choose(train: Examples, k: int, per_class: bool, seed: int) -> list[int]:
    """Return places in train: k of each class, or k in all as evenly as can be, in a shuffled order."""
    random = generator(seed, "shots")
    codes, counts = codes_of(train.strata)
    if per_class and counts.min() < k:
        raise BadData(
            f"a class of train has {counts.min()} rows, and method.shots.k={k} of each are wanted: lower it"
        )
    if k > len(train):
        raise BadData(f"train has {len(train)} rows, and method.shots.k={k} are wanted: lower it")
    shares = np.full_like(counts, k) if per_class else _evenly(counts, k, random)
    return [int(row) for row in random.permutation(np.flatnonzero(draw(codes, shares, random)))]


def _evenly(counts: Counts, total: int, random: np.random.Generator) -> Counts:
    """Give one row after the other to the class that has fewest yet; chance decides between equals."""
    shares, first = np.zeros_like(counts), random.permutation(len(counts))
    for _ in range(total):
        open_classes = [code for code in first if shares[code] < counts[code]]
        shares[min(open_classes, key=lambda code: int(shares[code]))] += 1
    return shares


def similar(train: Examples, inputs: Inputs, k: int) -> list[list[int]]:
    """Return for each input the k rows of train most like it, by cosine of TF-IDF, the most like last.

    A row with the very same input is never shown: its answer would be given away.
    """
    if isinstance(inputs, np.ndarray):
        raise BadConfig("method.shots.by=similarity compares texts, and these are images: set by=seed")
    from sklearn.feature_extraction.text import TfidfVectorizer

    known, asked = _joined(train.inputs), _joined(inputs)
    vectorizer = TfidfVectorizer(token_pattern=r"\w+|[^\w\s]")  # signs are words as well: no text is without
    try:
        learnt = vectorizer.fit_transform(known).T.tocsr()
    except ValueError:
        raise BadData(
            "every text of train is empty, so none is like another: set method.shots.by=seed"
        ) from None
    places: dict[str, list[int]] = {}
    for place, text in enumerate(known):
        places.setdefault(text, []).append(place)
    found: list[list[int]] = []
    for start in range(0, len(asked), CHUNK):
        part = asked[start : start + CHUNK]
        likeness = (vectorizer.transform(part) @ learnt).toarray()
        for row, text in enumerate(part):
            likeness[row, places.get(text, [])] = -1.0
        found += [_nearest(row, k) for row in likeness]
    return found


def _nearest(likeness: np.ndarray, k: int) -> list[int]:
    order = np.argsort(-likeness, kind="stable")[:k]
    if len(order) < k or likeness[order[-1:]].min(initial=0.0) < 0:
        raise BadData(f"train has fewer than method.shots.k={k} rows that differ from an input: lower it")
    return [int(place) for place in order[::-1]]


def _joined(inputs: Inputs) -> list[str]:
    return [text if isinstance(text, str) else "\x00".join(text) for text in inputs]
