"""A sweep that extends another: new points beside members that stay as they were frozen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from command_line import CommandLine, Outcome, fail, succeed
from tunesweep.care.extend import command as words_of
from tunesweep.store import Store

POINT = ("model=logistic", "method=full", "dataset=digits", "runtime.progress=false")


def extend(command: CommandLine, sweep: str, *words: str) -> Outcome:
    """Run the words that the command makes."""
    found = words_of(command.store, sweep, words)
    return command(*(word for word in found if not word.startswith("runtime.store")))


def seeds(outcome: Outcome) -> list[int]:
    return [config.seed for config in outcome.ran]


def members(store: Store, sweep: str | None = None) -> list[str]:
    data = store.get_sweep(sweep or store.last_sweep() or "")
    assert data is not None
    return list(data["members"])


def test_new_seeds_run_beside_the_old_members(command: CommandLine) -> None:
    first = command(*POINT, "seed=0,1")
    old = command.store.last_sweep() or ""
    outcome = extend(command, old, "seed=3,4")
    assert outcome.status == 0, outcome.said
    assert (seeds(first), seeds(outcome)) == ([0, 1], [3, 4])
    assert "4 points, 4 runs, 2 finished, 2 to do" in outcome.errors
    assert members(command.store)[:2] == members(command.store, old)
    names = {r.run_id: r.name for r in command.store.records()}
    assert [names[run_id] for run_id in members(command.store)] == ["seed=0", "seed=1", "seed=3", "seed=4"]
    again = extend(command, old, "seed=3,4")
    assert (again.status, again.ran) == (0, [])
    assert len(command.store.sweeps()) == 2


@pytest.mark.slow
def test_an_extension_is_extended(command: CommandLine) -> None:
    command(*POINT, "seed=0,1")
    extend(command, command.store.last_sweep() or "", "seed=2")
    outcome = extend(command, command.store.last_sweep() or "", "train.lr=0.5,0.25")
    assert outcome.status == 0, outcome.said
    pairs = [(config.seed, config.train.lr) for config in outcome.ran]
    assert sorted(pairs) == [(seed, lr) for seed in (0, 1, 2) for lr in (0.25, 0.5)]
    assert len(members(command.store)) == 9


def test_what_was_never_finished_is_run_as_it_was_frozen(command: CommandLine, conf: Path) -> None:
    command.task = lambda config: fail(config) if config.seed == 1 else succeed(config)
    command(*POINT, "seed=0,1")
    old = command.store.last_sweep() or ""
    file = conf / "model" / "logistic.yaml"
    file.write_text(file.read_text().replace("lr: 1e-2", "lr: 5e-2"))
    command.task = succeed
    outcome = extend(command, old, "seed=2")
    assert outcome.status == 0, outcome.said
    found = {config.seed: config for config in outcome.ran}
    assert sorted(found) == [1, 2]
    assert [found[seed].train.lr for seed in (1, 2)] == [1e-2, 5e-2]
    assert [found[seed].runtime.point.lr_by_hand for seed in (1, 2)] == [False, False]
    assert members(command.store)[:2] == members(command.store, old)


def test_members_stay_when_a_yaml_has_changed(command: CommandLine, conf: Path) -> None:
    command(*POINT, "seed=0,1")
    old = command.store.last_sweep() or ""
    file = conf / "model" / "logistic.yaml"
    file.write_text(file.read_text().replace("lr: 1e-2", "lr: 5e-2"))
    outcome = extend(command, old, "seed=2")
    assert (outcome.status, seeds(outcome)) == (0, [2])
    assert len(members(command.store)) == 3
    plain = command(*POINT, "seed=0,1,2")  # without it, the old ones would be other runs now
    assert seeds(plain) == [0, 1]


def test_a_member_of_other_data_is_identified_anew(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not finished with the data of then must not be called by the id of then."""
    command.task = fail
    command(*POINT, "seed=0")
    (old,) = members(command.store)
    monkeypatch.setattr("tunesweep.data.location.fingerprint", lambda *_: "other data")
    command.task = succeed
    outcome = extend(command, command.store.last_sweep() or "", "seed=1")
    assert seeds(outcome) == [0, 1]
    assert old not in members(command.store)


@pytest.mark.slow
def test_each_block_of_an_experiment_gets_the_new_seeds(
    command: CommandLine, experiment: Callable[[str], None]
) -> None:
    experiment('blocks: [["train.batch_size=8", "seed=0,1"], ["train.batch_size=16", "seed=0"]]')
    command(*POINT, "experiment=mine")
    outcome = extend(command, command.store.last_sweep() or "", "seed=5")
    assert outcome.status == 0, outcome.said
    # A key of the command replaces that of every block, so that the second one's seed 1 is filled in.
    found = sorted((config.train.batch_size, config.seed) for config in outcome.ran)
    assert found == [(8, 5), (16, 1), (16, 5)]
    assert len(members(command.store)) == 6


def test_a_failed_integrity_check_is_shown_and_not_repeated(command: CommandLine) -> None:
    command.task = lambda config: fail(config, "integrity")
    command(*POINT, "seed=0")
    command.task = succeed
    outcome = extend(command, command.store.last_sweep() or "", "seed=1")
    assert seeds(outcome) == [1]
    assert "1 failed their integrity checks" in outcome.errors


def test_a_sweep_file_without_configurations_is_said(command: CommandLine) -> None:
    command.store.put_sweep("s", {"sweep_id": "s", "members": ["a"], "command": list(POINT), "points": {}})
    outcome = command(*POINT, "seed=1", "runtime.extends=s")
    assert (outcome.status, outcome.ran) == (1, [])
    assert "sweep s does not say what run a is" in outcome.said
