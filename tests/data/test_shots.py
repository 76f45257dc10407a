"""Solved examples: balanced, from train, the same for one seed, never the question itself."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics.pairwise import cosine_similarity

from tunesweep.data.examples import Examples
from tunesweep.data.shots import choose, similar
from tunesweep.errors import BadConfig, BadData


def train(labels: str | list[str], texts: list[str] | None = None, task: str = "classification") -> Examples:
    names = list(labels)
    ids = [f"train-{row}" for row in range(len(names))]
    return Examples(ids, texts or [f"text {row}" for row in range(len(names))], names, task=task)


@given(labels=st.text("aaabc", min_size=8, max_size=40), k=st.integers(0, 8), seed=st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_classes_are_as_even_as_can_be(labels: str, k: int, seed: int) -> None:
    rows = choose(train(labels), k, False, seed)
    assert len(rows) == len(set(rows)) == k
    found, had = Counter(labels[row] for row in rows), Counter(labels)
    for label in had:  # a class has fewer than another, by more than one, only if it has no more rows
        assert found[label] >= max(found.values(), default=0) - 1 or found[label] == had[label]


def test_k_of_each_class() -> None:
    labels = "aabbbbccc" * 3
    rows = choose(train(labels), 4, True, 1)
    assert Counter(labels[row] for row in rows) == {"a": 4, "b": 4, "c": 4}
    assert [labels[row] for row in rows] != sorted(labels[row] for row in rows)  # shuffled


def test_the_seed_chooses_the_rows() -> None:
    many = train("abc" * 40)
    assert choose(many, 6, False, 0) == choose(many, 6, False, 0) != choose(many, 6, False, 1)


def test_chance_decides_which_classes_get_the_odd_one() -> None:
    assert (
        len(
            {
                tuple(sorted("abc"[row % 3] for row in choose(train("abc" * 9), 1, False, s)))
                for s in range(30)
            }
        )
        == 3
    )


def test_answers_are_no_classes_to_balance() -> None:
    told = train([f"answer {row}" for row in range(20)], task="instruction")
    assert len(choose(told, 3, False, 0)) == 3


@pytest.mark.parametrize(("k", "per_class"), [(9, False), (3, True)])
def test_more_than_train_has_is_refused(k: int, per_class: bool) -> None:
    with pytest.raises(BadData, match=rf"method\.shots\.k={k}"):
        choose(train("aaaaaabb"), k, per_class, 0)


TEXTS = ["the cat sat", "the cat sat down", "a dog ran", "dogs run far away", "the cat", "stocks fell again"]


def test_the_most_similar_stands_last() -> None:
    found = similar(train("aababb", TEXTS), ["a cat sat on a mat", "dogs ran"], 3)
    # Independent: dense TF-IDF over plain words, and scikit-learn's own cosine.
    vectorizer = TfidfVectorizer(token_pattern=r"\w+")
    likeness = cosine_similarity(
        vectorizer.fit_transform(TEXTS), vectorizer.transform(["a cat sat on a mat"])
    )
    assert found[0] == [int(row) for row in np.argsort(likeness[:, 0], kind="stable")[-3:]]
    assert {found[1][-1], found[1][-2]} == {2, 3}


def test_the_question_itself_is_never_shown() -> None:
    texts = ["same", "same", "same but more", "other"]
    assert similar(train("abab", texts), ["same"], 1) == [[2]]
    assert 0 not in similar(train("abab", texts), texts, 2)[0]
    with pytest.raises(BadData, match=r"fewer than method\.shots\.k=3"):
        similar(train("abab", texts), ["same"], 3)


def test_many_inputs_and_tuples() -> None:
    pairs = [(f"first {row}", f"word{row} alike") for row in range(600)]
    several = Examples([f"train-{row}" for row in range(600)], pairs, ["x", "y"] * 300)
    questions = [(f"first of {row}", f"word{row}") for row in range(600)]
    found = similar(several, questions, 2)
    assert [rows[-1] for rows in found] == list(range(600))


def test_texts_without_words_still_have_likenesses() -> None:
    assert similar(train("abab", ["?", "!", "? ?", ""]), ["? ? ?"], 1) in ([[0]], [[2]])
    with pytest.raises(BadData, match="every text of train is empty"):
        similar(train("ab", ["", " "]), ["a"], 1)


def test_images_have_no_words() -> None:
    pictures = np.zeros((2, 2, 2))
    with pytest.raises(BadConfig, match="by=seed"):
        similar(Examples(["a", "b"], pictures, ["x", "y"]), pictures, 1)
