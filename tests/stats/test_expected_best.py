from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import combinations
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesweep.stats.trials import chosen_range, expected_best


def every_subset(select: list[float], test: list[float], size: int, higher: bool) -> float:
    """Mean test score of the best on select, over all subsets of a size; ties in equal shares."""
    scores = []
    for places in combinations(range(len(select)), size):
        best = (max if higher else min)(select[place] for place in places)
        scores.append(mean(test[place] for place in places if select[place] == best))
    return mean(scores)


TRIALS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 100)), min_size=1, max_size=7)


@given(TRIALS, st.booleans())
def test_it_equals_every_subset(trials, higher):
    select, test = [float(a) for a, _ in trials], [float(b) for _, b in trials]
    expected = [every_subset(select, test, size, higher) for size in range(1, len(trials) + 1)]
    assert expected_best(select, test, higher) == pytest.approx(expected)


def test_of_one_trial_it_is_the_mean_and_of_all_the_best():
    assert expected_best([0.2, 0.9, 0.4]) == pytest.approx([0.5, mean([0.9, 0.9, 0.4]), 0.9])


def test_scores_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match="2 scores to choose by and 1 to report"):
        expected_best([0.1, 0.2], [0.1])


def quantile_of_subsets(select: list[float], test: list[float], size: int, share: Fraction) -> float:
    """The least test score that so large a share of subsets does not exceed; ties count in equal shares."""
    found: Counter[float] = Counter()
    subsets = list(combinations(range(len(select)), size))
    for places in subsets:
        tied = [place for place in places if select[place] == max(select[place] for place in places)]
        for place in tied:
            found[test[place]] += Fraction(1, len(tied) * len(subsets))
    return next(s for s in sorted(found) if sum(w for t, w in found.items() if t <= s) >= share)


@given(TRIALS)
def test_the_range_is_that_of_every_subset(trials):
    select, test = [float(a) for a, _ in trials], [float(b) for _, b in trials]
    ends = (Fraction(1, 40), Fraction(39, 40))
    expected = [
        tuple(quantile_of_subsets(select, test, size, end) for end in ends)
        for size in range(1, len(trials) + 1)
    ]
    assert chosen_range(select, test) == expected


def test_a_narrower_range_lies_within_and_of_all_trials_there_is_one_score():
    select, test = [0.1, 0.5, 0.3, 0.4], [4.0, 1.0, 2.0, 3.0]
    assert chosen_range(select, test)[0] == (1.0, 4.0)
    assert chosen_range(select, test, level=0.2)[0] == (2.0, 3.0)
    assert chosen_range(select, test)[-1] == (1.0, 1.0)
