"""Optuna's proposals follow from seed and history alone."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tunesweep.config.search import OptunaConfig
from tunesweep.errors import BadConfig
from tunesweep.search import optuna_sampler
from tunesweep.search.optuna_sampler import OptunaSearch
from tunesweep.search.space import Choice, Interval, holds
from tunesweep.search.trials import Proposal, Score, Trial

SPACE = (
    Choice("a", ("1", "2", "3"), ordered=True),
    Choice("m", ("full", "lora")),
    Interval("lr", 1e-6, 1e-1, log=True),
    Interval("n", 1, 50, whole=True),
)


def quality(values: dict[str, Any]) -> float | None:
    """Greatest at lr 1e-3 with lora; there is no result above 0.03."""
    if values["lr"] > 0.03:
        return None
    return -((math.log10(values["lr"]) + 3) ** 2) - (values["m"] == "full")


def told(proposal: Proposal) -> Trial:
    value = quality(proposal.values)
    return Trial(proposal, "", None if value is None else Score(value, 0.0))


def carry_out(search: OptunaSearch, history: list[Trial] | None = None) -> list[Trial]:
    history = list(history or [])
    while asked := search.propose(history):
        history += map(told, asked)
    return history


@pytest.mark.parametrize("options", [{}, {"batch": 4}, {"sampler": "random"}])
def test_a_search_taken_up_again_ends_with_the_same_trials(options):
    whole = carry_out(OptunaSearch(OptunaConfig(trials=14, **options), SPACE))
    assert len(whole) == 14
    assert any(trial.score is None for trial in whole)  # what failed is part of the history
    for place in (4, 8, 12):
        assert carry_out(OptunaSearch(OptunaConfig(trials=14, **options), SPACE), whole[:place]) == whole


def test_a_larger_budget_begins_with_the_same_trials():
    short = carry_out(OptunaSearch(OptunaConfig(trials=9), SPACE))
    assert carry_out(OptunaSearch(OptunaConfig(trials=12), SPACE))[:9] == short


def test_scores_and_the_seed_change_what_comes_next():
    search = OptunaSearch(OptunaConfig(trials=10), SPACE)
    history = carry_out(search)[:9]
    other = [Trial(t.proposal, "", t.score and Score(-t.score.value, 0.0)) for t in history]
    assert search.propose(history) != search.propose(other)
    seeded = OptunaSearch(OptunaConfig(trials=10, seed=1), SPACE)
    assert seeded.propose(history) != search.propose(history)


def test_it_goes_where_the_scores_are():
    trials = carry_out(OptunaSearch(OptunaConfig(trials=40), SPACE))
    late = [trial.proposal.values for trial in trials[20:]]
    near = sum(1e-4 <= values["lr"] <= 1e-2 for values in late)
    assert near >= 12  # 8 of 20 at random: two of five decades
    assert sum(values["m"] == "lora" for values in late) >= 14  # 10 at random


def test_trials_asked_at_once_differ_and_lie_in_the_space():
    search = OptunaSearch(OptunaConfig(trials=30, batch=5), SPACE)
    history = carry_out(search)[:20]
    asked = search.propose(history)
    assert [p.member for p in asked] == [20, 21, 22, 23, 24]
    assert len({p.words for p in asked}) == 5
    assert all(holds(SPACE, p.values) for p in asked)
    assert search.accepts(asked)
    assert not search.accepts([Proposal((), {"lr": 1e-4})])


def test_the_last_batch_stays_within_the_budget():
    search = OptunaSearch(OptunaConfig(trials=5, batch=3), SPACE)
    assert [len(search.propose([told(p) for p in search.propose([])] * times)) for times in (0, 1, 2)] == [
        3,
        2,
        0,
    ]


def test_without_optuna_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(optuna_sampler, "find_spec", lambda name: None)
    with pytest.raises(BadConfig, match=r"not installed: pip install '\.\[search\]'"):
        OptunaSearch(OptunaConfig(), SPACE)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sampler": "grid"}, "search.sampler=grid is not an option: choose one of tpe, random"),
        ({"trials": 0}, "search.trials=0 must be above zero"),
        ({"batch": -1}, "search.batch=-1 must be above zero"),
    ],
)
def test_options_are_checked(options, said):
    with pytest.raises(BadConfig, match=said):
        OptunaConfig(**options)
