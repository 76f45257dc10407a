"""Early exit from a group: who leaves when, what is left of those, and that the others do not notice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pairs
import pytest
from test_group_interrupted import Killed, at_call, die

import samples
from command_line import CommandLine, succeed
from tunesweep.config import RunConfig
from tunesweep.errors import BadConfig
from tunesweep.fused import carry, exits
from tunesweep.fused.groups import divide
from tunesweep.search.trials import Score
from workplace import tiny

Make = Callable[..., RunConfig]
RUNS = (
    "method=lora lora.r=2 train.lr=1e-5",
    "method=lora lora.r=4 train.lr=3e-2 lora.dropout=0.3",
    "method=ia3 train.lr=1e-5 seeds.data=1",
    "method=lora lora.r=8 train.lr=1e-2 lora.dropout=0.2 seeds.data=2",
    "method=lora lora.r=4 train.lr=1e30 train.clip=null",  # diverges in the first epoch
)
NEAR = 1e-5


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CommandLine:
    return CommandLine(monkeypatch, tmp_path)


@pytest.fixture
def shared(tmp_path: Path) -> tuple[str, ...]:
    limits = ("dataset.limit.train=36", "dataset.limit.select=12", "dataset.limit.test=6")
    budget = ("train.epochs=4", "train.batch_size=8", "train.monitor=loss", "runtime.probe_steps=0")
    return (*tiny("random_bert"), *samples.films(tmp_path), *limits, *budget, "runtime.early_exit=2")


@pytest.mark.parametrize(
    ("runs", "epochs", "eta", "found"),
    [
        (8, 4, 2, {1: 4, 2: 2}),
        (9, 9, 3, {1: 3, 3: 1}),  # the rungs of Jamieson and Talwalkar's table, as `search=halving` has them
        (16, 16, 2, {1: 8, 2: 4, 4: 2, 8: 1}),
        (5, 4, 2, {1: 2, 2: 1}),
        (24, 3, 2, {1: 12}),
        (2, 1, 2, {}),
        (2, 10, 3, {}),
    ],
)
def test_rungs_are_those_of_successive_halving(runs, epochs, eta, found):
    assert exits.rungs(runs, epochs, eta) == found


def test_the_worst_leave_and_of_equal_ones_the_later():
    standings = [Score(0.5, -0.7), Score(0.9, -0.1), Score(0.5, -0.6), Score(0.5, -0.7)]
    assert exits.leaving(standings, 3) == [3]
    assert exits.leaving(standings, 1) == [2, 0, 3]
    assert exits.leaving(standings, 9) == []


def test_losers_are_stopped_and_all_are_what_they_are_alone(make_config, tmp_path, shared):
    fused = pairs.together(pairs.points(make_config, tmp_path / "fused", shared, RUNS))
    alone = pairs.alone(pairs.points(make_config, tmp_path / "alone", shared, RUNS))
    losses = [[epoch["loss"] for epoch in record.history] for record in alone.records[:4]]
    first = sorted(range(4), key=lambda place: losses[place][0])
    second = sorted(first[:2], key=lambda place: losses[place][1])
    ends = {second[0]: 4, second[1]: 2, first[2]: 1, first[3]: 1}
    for place, epochs in ends.items():
        mine, theirs = fused.records[place], alone.records[place]
        assert mine.status == ("succeeded" if epochs == 4 else "stopped")
        assert len(mine.history) == epochs
        for one, other in zip(mine.history, theirs.history[:epochs], strict=True):
            assert one == pytest.approx(other, abs=NEAR, rel=NEAR)
    assert fused.predictions(second[0]) == alone.predictions(second[0])
    assert fused.records[4].failure["class"] == "diverged"
    assert fused.records[first[3]].stopped == (
        f"after epoch 1 of 4: select loss {losses[first[3]][0]:.3f}, place 4 of 4, of which 2 went on "
        "(runtime.early_exit=2)"
    )
    for place in (second[1], *first[2:]):
        record = fused.records[place]
        assert (record.failure, record.artefacts, set(record.metrics)) == (None, {}, {"select"})
        assert record.cost["epochs"] == len(record.history)
    assert not [path for path in (tmp_path / "fused").glob("work/*") if not path.name.startswith(".")]


def test_a_group_that_is_killed_after_an_exit_leaves_the_same(make_config, tmp_path, shared, monkeypatch):
    whole = pairs.together(pairs.points(make_config, tmp_path / "whole", shared, RUNS))
    often = [*shared, "runtime.checkpoint_minutes=0"]
    with monkeypatch.context() as patch:
        at_call(patch, "training_step", 8, die)
        with pytest.raises(Killed):
            pairs.together(pairs.points(make_config, tmp_path / "killed", often, RUNS))
    again = pairs.together(pairs.points(make_config, tmp_path / "killed", often, RUNS))
    assert [7] in [r.resumed for r in again.records]
    assert [r.stopped for r in again.records] == [r.stopped for r in whole.records]
    assert [r.history for r in again.records] == [r.history for r in whole.records]
    assert [r.metrics for r in again.records] == [r.metrics for r in whole.records]


def test_the_plan_says_who_goes_on(make_config, tmp_path, shared):
    for epochs, said in (
        (4, "Of 5 go on: 2 after epoch 1, 1 after epoch 2 of 4."),
        (1, "Nobody leaves early: runtime.early_exit=2 takes 2 epochs or more, not 1."),
    ):
        configs = pairs.points(make_config, tmp_path, [*shared, f"train.epochs={epochs}"], RUNS)
        assert divide(configs).sentences(configs)[0].endswith(said)


def stop(config: RunConfig):
    record = succeed(config)
    if config.lora.r == 4:
        record.status, record.metrics, record.stopped = "stopped", {"select": {"loss": 1.0}}, "after epoch 1"
    return record


def test_what_was_stopped_is_settled_for_such_a_command_alone(command: CommandLine) -> None:
    words = ["-m", "method=lora", "lora.r=2,4", "runtime.fuse=auto"]
    command.task = stop
    first = command(*words, "runtime.early_exit=2")
    assert (first.status, first.names) == (0, ["lora.r=2", "lora.r=4"])
    assert "stopped: lora.r=4: after epoch 1" in " ".join(first.output.split())
    assert command(*words, "runtime.early_exit=2").names == []
    command.task = succeed
    assert command(*words).names == ["lora.r=4"]
    assert {record.status for record in command.store.records()} == {"succeeded"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("runtime.early_exit=1", "runtime.fuse=auto"), "early_exit=1 must be 2 or more"),
        (("runtime.early_exit=2",), "trained in one pass: set runtime.fuse=auto, or use search=halving"),
    ],
)
def test_what_stops_nobody_is_refused(make_config, words, sentence):
    with pytest.raises(BadConfig, match=sentence):
        make_config(*words)


def test_a_command_without_early_exit_does_not_go_on_from_one_with_it(
    make_config, tmp_path, shared, monkeypatch
):
    often = [*shared, "runtime.checkpoint_minutes=0"]
    with monkeypatch.context() as patch:
        at_call(patch, "training_step", 8, die)
        with pytest.raises(Killed):
            pairs.together(pairs.points(make_config, tmp_path / "killed", often, RUNS))
    plain = [*often, "runtime.early_exit=null"]
    again = pairs.together(pairs.points(make_config, tmp_path / "killed", plain, RUNS))
    assert [record.status for record in again.records] == ["succeeded"] * 4 + ["failed"]
    assert {len(record.history) for record in again.records[:4]} == {4}


def test_who_is_compared_has_one_monitor(make_config, tmp_path, shared):
    lines = [f"method=lora lora.r={r} train.monitor={m}" for m in ("loss", "accuracy") for r in (2, 4)]
    configs = pairs.points(make_config, tmp_path, [*shared, "train.monitor=loss"], lines)
    assert divide(configs).groups == [[0, 1], [2, 3]]


def test_too_few_runs_are_not_called_too_few_epochs(make_config, tmp_path, shared):
    configs = pairs.points(make_config, tmp_path, [*shared, "runtime.early_exit=3"], RUNS[:2])
    assert divide(configs).sentences(configs)[0].endswith("takes 3 runs or more, not 2.")


def test_who_stayed_is_recorded_first(make_config, tmp_path, shared, monkeypatch):
    kept, record = [], carry._record
    monkeypatch.setattr(carry, "_record", lambda member: kept.append(found := record(member)) or found)
    pairs.together(pairs.points(make_config, tmp_path, shared, RUNS))
    assert [found.status for found in kept] == ["succeeded", *(["stopped"] * 3), "failed"]
