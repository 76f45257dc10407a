"""What a trial is judged by: the select split, never test."""

from __future__ import annotations

from typing import Any

from tunesweep.record import RunRecord
from tunesweep.search.trials import Proposal, Score, Trial, best, proposal, proposed, ranked, score


def record(select: dict[str, Any] | None, monitor: str = "auto", status: str = "succeeded") -> RunRecord:
    metrics = {"test": {"accuracy": 0.99}} | ({"select": select} if select else {})
    return RunRecord("a", status, "s", "n", {"train": {"monitor": monitor}}, metrics=metrics)


def trial(name: str, value: float | None, loss: float = 1.0, rung: int = 0) -> Trial:
    return Trial(Proposal((name,), rung=rung), name, None if value is None else Score(value, -loss))


def test_the_monitored_score_of_the_select_split_counts():
    select = {"accuracy": 0.7, "macro_f1": 0.6, "loss": 0.5, "epoch": 1}
    assert score(record(select)) == (0.7, -0.5)
    assert score(record(select, "macro_f1")) == (0.6, -0.5)
    assert score(record(select, "loss")) == (-0.5, -0.5)
    assert score(record({"loss": 2.0, "perplexity": 7.4})) == (-2.0, -2.0)


def test_without_a_select_score_there_is_none():
    assert score(None) is None
    assert score(record(None)) is None
    assert score(record({"accuracy": 0.9, "loss": 0.1}, status="failed")) is None


def test_equal_scores_are_told_apart_by_the_loss_and_then_by_order():
    trials = [
        trial("a", 0.5, 2.0),
        trial("b", None),
        trial("c", 0.5, 1.0),
        trial("d", 0.9),
        trial("e", 0.5, 2.0),
    ]
    assert [found.run_id for found in ranked(trials)] == ["d", "c", "a", "e"]


def test_the_best_is_of_the_highest_rung_that_has_a_score():
    trials = [trial("a", 0.9), trial("b", 0.5, rung=1), trial("c", 0.4, rung=1), trial("d", None, rung=2)]
    best_of_all = best(trials)
    assert best_of_all is not None
    assert best_of_all.run_id == "b"
    assert best([trial("a", None)]) is None


def test_proposals_survive_the_file_of_a_sweep():
    known = Proposal(("lora.r=4",), {"lora.r": "4"}, rung=1, member=3)
    assert proposal(known.to_dict()) == known
    assert proposed({"search": {"trials": [known.to_dict() | {"run_id": "a"}]}}) == [(known, "a")]
    for broken in (
        None,
        {},
        {"search": 1},
        {"search": {"trials": 1}},
        {"search": {"trials": [1, {"rung": 0}]}},
    ):
        assert proposed(broken) == []
