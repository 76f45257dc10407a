"""Successive halving against examples computed by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tunesweep.config.search import HalvingConfig
from tunesweep.errors import BadConfig
from tunesweep.search.halving import HalvingSearch
from tunesweep.search.trials import Score, Trial, best


def halving(count: int, epochs: int | tuple[int, ...], **options: int) -> HalvingSearch:
    each = epochs if isinstance(epochs, tuple) else (epochs,) * count
    return HalvingSearch(HalvingConfig(**options), tuple((f"x={n}",) for n in range(count)), each)


def carry_out(
    search: HalvingSearch, score: Callable[[int, int], float | None]
) -> list[list[tuple[int, int]]]:
    """Return what is launched: the members and epochs of each rung. `score` is of a member on a rung."""
    history: list[Trial] = []
    launched = []
    while asked := search.propose(history):
        launched.append([(p.member, search.budget(p.rung, p.member)) for p in asked])
        for p in asked:
            value = score(p.member, p.rung)
            history.append(Trial(p, str(p), None if value is None else Score(value, 0.0)))
    return launched


def test_nine_points_and_nine_epochs_by_hand():
    # rung 0: scores 0..8, the best three are 6, 7, 8; rung 1 turns their order round: 6 goes on.
    launched = carry_out(halving(9, 9), lambda member, rung: -member if rung else member)
    assert launched == [[(n, 1) for n in range(9)], [(6, 3), (7, 3), (8, 3)], [(6, 9)]]


def test_sixteen_points_by_half_by_hand():
    # Jamieson and Talwalkar's own: half of the points go on, with twice the budget.
    search = halving(16, 8, eta=2)
    launched = carry_out(search, lambda member, rung: member)
    assert [len(rung) for rung in launched] == [16, 8, 4, 2]
    assert [rung[0] for rung in launched] == [(0, 1), (8, 2), (12, 4), (14, 8)]
    assert search.total == 30


def test_there_are_as_many_rungs_as_epochs_or_points_allow():
    assert [len(rung) for rung in carry_out(halving(27, 3), lambda m, _: m)] == [27, 9]
    assert [len(rung) for rung in carry_out(halving(4, 81), lambda m, _: m)] == [4, 1]
    assert carry_out(halving(4, 81), lambda m, _: m)[0][0] == (0, 27)
    assert [rung[0][1] for rung in carry_out(halving(9, 9, min_epochs=3), lambda m, _: m)] == [3, 9]


def test_each_point_has_the_same_share_of_its_own_epochs():
    launched = carry_out(halving(3, (3, 30, 10)), lambda m, _: 1.0)
    assert launched == [[(0, 1), (1, 10), (2, 3)], [(0, 3)]]


def test_what_failed_comes_last_and_goes_no_further():
    launched = carry_out(halving(9, 9), lambda m, rung: None if m > 1 else m)
    assert launched[1:] == [[(0, 3), (1, 3)], [(1, 9)]]
    assert len(carry_out(halving(9, 9), lambda m, rung: None)) == 1


def test_equal_scores_are_broken_by_loss_then_order():
    search = halving(9, 9)
    losses = [5, 4, 9, 9, 4, 9, 9, 9, 4]
    history = [Trial(p, "", Score(0.5, -losses[p.member])) for p in search.propose([])]
    assert [p.member for p in search.propose(history)] == [1, 4, 8]
    history = [Trial(p, "", Score(0.5, -1.0)) for p in search.propose([])]
    assert [p.member for p in search.propose(history)] == [0, 1, 2]


def test_a_file_of_another_population_is_not_taken_up():
    search = halving(3, 3)
    lowest = search.propose([])
    assert search.accepts(lowest)
    assert not search.accepts(lowest[:2])
    assert not search.accepts([*lowest[:2], halving(4, 3).propose([])[3]])
    assert search.accepts([]) is False


def test_the_chosen_one_is_of_the_top_rung():
    search = halving(3, 3)
    history = [Trial(p, f"low{p.member}", Score(0.9, 0)) for p in search.propose([])]
    history += [Trial(p, "top", Score(0.5, 0)) for p in search.propose(history)]
    chosen = best(history)
    assert chosen is not None
    assert chosen.run_id == "top"


@pytest.mark.parametrize(
    ("count", "epochs", "options", "said"),
    [
        (2, 9, {}, "keeps one of 3 points, and there are 2"),
        (9, 2, {}, "train.epochs=2 leaves no rung below it"),
        (9, 9, {"eta": 1}, "search.eta=1 must be at least 2"),
        (9, 9, {"min_epochs": 0}, "search.min_epochs=0 must be above zero"),
    ],
)
def test_what_cannot_be_halved_is_refused(count, epochs, options, said):
    with pytest.raises(BadConfig, match=said):
        halving(count, epochs, **options)
