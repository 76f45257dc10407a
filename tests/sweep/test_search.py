"""Searches by the command line: all of planning is real, only the training of a point is a stub."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra.core.utils import JobReturn

import hydra_plugins.tunesweep._sweep as plugin
from command_line import METRICS, CommandLine, Outcome, fail, succeed
from hydra_plugins.tunesweep._proposals import Proposals
from hydra_plugins.tunesweep._search import Batch, _named
from tunesweep.care.extend import command as extended
from tunesweep.config import RunConfig
from tunesweep.config.search import OptunaConfig
from tunesweep.errors import BadConfig
from tunesweep.record import RunRecord
from tunesweep.report.render import build
from tunesweep.report.rows import Scope
from tunesweep.search import optuna_sampler
from tunesweep.store import Store
from tunesweep.sweep.plan import Plan

RATE = "train.lr=tag(log,interval(1e-5,1e-1))"
OPTUNA = ("search=optuna", "search.trials=4", "search.startup=2", RATE, "lora.r=2,4,8")
HALVING = ("search=halving", "search.eta=2", "train.epochs=4", "train.lr=1e-4,1e-3", "lora.r=2,4")


def scored(config: RunConfig, accuracy: float | None = None) -> RunRecord:
    """Return a record whose score on select is best at lr 1e-3, and whose score on test is worst there."""
    record, away = succeed(config), abs(math.log10(config.train.lr or 1) + 3)
    select = {"accuracy": 0.9 - away / 10 if accuracy is None else accuracy, "loss": 0.1 + away}
    test = METRICS["test"] | {"accuracy": 0.5 + away / 10}
    record.metrics = METRICS | {"select": select, "test": test}
    return record


def interrupted(after: int) -> Callable[[RunConfig], RunRecord]:
    """Carry out some points, and end the command in the next one."""
    done: list[RunConfig] = []

    def task(config: RunConfig) -> RunRecord:
        if len(done) == after:
            raise KeyboardInterrupt
        done.append(config)
        return scored(config)

    return task


def ids(outcome: Outcome) -> list[str]:
    return [config.runtime.point.run_id for config in outcome.ran]


def sweep_file(command: CommandLine) -> dict[str, Any]:
    found = command.store.get_sweep(str(command.store.last_sweep()))
    assert found is not None
    return found


def elsewhere(command: CommandLine, name: str) -> Store:
    """Give the command another store."""
    command.store = Store(command.store.root.parent / name)
    command.place[0] = f"runtime.store={command.store.root}"
    return command.store


def test_a_search_that_was_killed_ends_with_the_trials_of_an_undisturbed_one(command: CommandLine) -> None:
    command.task = scored
    whole = command(*OPTUNA)
    assert (len(set(ids(whole))), whole.status) == (4, 0)
    members = sweep_file(command)["members"]
    assert members == ids(whole)
    elsewhere(command, "killed")
    command.task = interrupted(2)
    assert command(*OPTUNA).status == 130
    assert sweep_file(command)["members"] == members[:3]  # frozen before it began
    command.task = scored
    assert ids(command(*OPTUNA)) == members[2:]
    assert sweep_file(command)["members"] == members
    for path in (command.store.root / "sweeps").iterdir():
        path.unlink()
    again = command(*OPTUNA)  # all is found in the store, by the seed alone
    assert (again.ran, again.status, sweep_file(command)["members"]) == ([], 0, members)


def test_the_best_on_select_is_chosen_and_test_only_reported(command: CommandLine) -> None:
    command.task = scored
    out = command(*OPTUNA)
    records = command.store.records()
    best = max(records, key=lambda record: record.metrics["select"]["accuracy"])
    line = next(line for line in out.output.splitlines() if "best on select" in line)
    assert f"best on select: {best.name} (accuracy {best.metrics['select']['accuracy']:.4g}" in line
    assert best.metrics["test"]["accuracy"] == min(r.metrics["test"]["accuracy"] for r in records)
    shown = build(command.store, Scope())  # as `tunesweep report`
    assert any(f"run {best.run_id}" in note and "on test, which nothing" in note for note in shown.notes)
    assert len(shown.blocks[0].rows) == 4
    assert "on_select" in [column.key for column in shown.blocks[0].columns]


def test_a_trial_is_an_ordinary_point(command: CommandLine) -> None:
    command.task = scored
    first = command("search=optuna", "search.trials=1", RATE, "lora.r=2,4,8").ran[0]
    assert first.runtime.point.name == f"lora.r={first.lora.r} train.lr={first.train.lr}"
    alone = command(f"train.lr={first.train.lr}", f"lora.r={first.lora.r}")
    assert (alone.ran, alone.status) == ([], 0)
    assert "best on select" not in alone.output


def test_a_failed_trial_is_told_and_the_search_goes_on(command: CommandLine) -> None:
    def second_fails(config: RunConfig) -> RunRecord:
        return fail(config) if config.runtime.point.index == 2 else scored(config)

    command.task = second_fails
    out = command(*OPTUNA)
    assert (len(out.ran), out.status) == (4, 1)
    assert "1 of 4 runs failed" in out.said
    assert f"{out.names[1]}: diverged: it broke" in out.said
    members = sweep_file(command)["members"]
    command.task = scored
    again = command(*OPTUNA)  # it runs again, and changes none of the trials that came after it
    assert (again.names, again.status) == ([out.names[1]], 0)
    assert sweep_file(command)["members"] == members


def test_trials_asked_at_once_are_one_launch(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    launches: list[int] = []

    class Counting:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def launch(self, words: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
            launches.append(len(words))
            found: Sequence[JobReturn] = self.inner.launch(words, initial_job_idx)
            return found

    original = plugin._launcher
    monkeypatch.setattr(plugin, "_launcher", lambda *given: Counting(original(*given)))
    command.task = scored
    command(*OPTUNA, "search.batch=3")
    assert launches == [3, 1]


def test_a_trial_that_repeats_another_is_not_run_again(command: CommandLine) -> None:
    command.task = scored
    out = command("search=optuna", "search.trials=4", "lora.r=2,4")
    assert len(out.ran) == len(set(ids(out))) <= 2
    assert "4 of 4 trials, 4 with a score" in " ".join(out.output.split())


def test_a_stopped_sweep_proposes_nothing_more(command: CommandLine) -> None:
    command.task = lambda config: fail(config, "not started" if config.runtime.point.index == 2 else "bug")
    assert len(command(*OPTUNA).ran) == 2


def test_halving_by_hand_and_taken_up_again(command: CommandLine) -> None:
    command.task = interrupted(5)  # in the second rung: 4 points with one epoch, then 1 of 2 with two
    killed = command(*HALVING)
    assert killed.status == 130
    command.task = scored
    rest = command(*HALVING)
    done = [*killed.ran[:5], *rest.ran]
    found = [(config.train.epochs, config.train.lr, config.lora.r) for config in done]
    assert found[:4] == [(1, lr, r) for lr in (1e-4, 1e-3) for r in (2, 4)]
    assert found[4:] == [(2, 1e-3, 2), (2, 1e-3, 4), (4, 1e-3, 2)]  # equal ones by their order
    assert "4 with 1, then 2 with 2, then 1 with 4 epochs" in rest.errors
    assert "best on select: train.lr=0.001 lora.r=2 train.epochs=4 (accuracy 0.9;" in rest.output
    assert len(sweep_file(command)["members"]) == 7


@pytest.mark.slow
def test_halving_draws_from_an_interval(command: CommandLine) -> None:
    command.task = scored
    words = ("search=halving", "search.population=3", "train.epochs=3", RATE, "method=lora,full")
    out = command(*words)
    assert [config.train.epochs for config in out.ran] == [1, 1, 1, 3]
    best = max(command.store.records(), key=lambda record: record.metrics["select"]["accuracy"])
    assert out.ran[-1].train.lr == best.config["train"]["lr"]
    assert command(*words).ran == []


@pytest.mark.slow
def test_where_a_search_runs_is_no_part_of_who_it_is(command: CommandLine) -> None:
    command.task = scored
    words = ("search=optuna", "search.trials=1", RATE)
    command(*words)
    command(*words, "runtime.threads=1")
    assert len(command.store.sweeps()) == 1


def test_space_words_sampler_budget_and_first_runs_are_who_a_search_is(tmp_path: Path) -> None:
    class Ran:
        def __init__(self, run_id: str) -> None:
            self.run_id = run_id

    def named(settings: OptunaConfig, searched: object, run_id: str = "a") -> str:
        first: Any = Batch([], [], Plan(Store(tmp_path), [Ran(run_id)], {}))  # type: ignore[list-item]
        nothing: Any = None
        source = Proposals(nothing, searched, nothing, nothing, nothing)
        return _named(source, settings, first).sweep_id

    same = named(OptunaConfig(), {"space": [1], "fixed": []})
    assert named(OptunaConfig(), {"space": [1], "fixed": []}) == same
    others = [
        named(OptunaConfig(trials=21), {"space": [1], "fixed": []}),
        named(OptunaConfig(seed=1), {"space": [1], "fixed": []}),
        named(OptunaConfig(sampler="random"), {"space": [1], "fixed": []}),
        named(OptunaConfig(), {"space": [2], "fixed": []}),
        named(OptunaConfig(), {"space": [1], "fixed": ["x=1"]}),
        named(OptunaConfig(), {"space": [1], "fixed": []}, run_id="b"),  # other data, weights or defaults
    ]
    assert len({same, *others}) == 7


REFUSED = {
    "nothing to search over": (("search=optuna", "lora.r=4"), "needs something to search over"),
    "interval without a search": ((RATE,), "has no end of values: add search=optuna"),
    "interval without a number of draws": (("search=halving", RATE), "give search.population=N"),
    "unknown sampler": ((*OPTUNA, "search.sampler=grid"), "search.sampler=grid is not an option"),
    "option of another kind": ((*OPTUNA, "search.eta=2"), "search.eta is not an option"),
    "wrong kind of value": ((*OPTUNA, "search.seed=many"), "expected a whole number"),
    "option without a search": (("search.trials=5",), "search.trials is not an option"),
    "two searches": (("search=optuna,halving", "lora.r=2,4"), "one command is one search"),
    "seeds": ((*OPTUNA, "seed=0,1"), "seed=0,1 cannot be searched over: the best seed is luck"),
    "several blocks": (
        ("search=optuna", "experiment=digit_adaptation", "lora.r=1,2"),
        "searches one block, and this command has 2",
    ),
    "points that start from one another": (
        ("search=halving", "experiment=digit_adaptation", "scale=small", "lora.r=1,2"),
        "start from another point of the search",
    ),
    "what is not trained": (
        (*OPTUNA, "method=lora,zero_shot", "model=smollm2_135m", "readout=label_words"),
        "method=zero_shot is not trained",
    ),
    "what cannot be": ((*OPTUNA[:4], "lora.r=2,4096"), "nothing was started: "),
    "too few epochs": (("search=halving", "lora.r=2,4,8"), "train.epochs=2 leaves no rung below it"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_searched_is_one_sentence(command: CommandLine, name: str) -> None:
    words, said = REFUSED[name]
    out = command(*words)
    assert said in out.said
    assert (out.status, out.ran, out.said.count("\n")) == (1, [], 0)


def test_without_optuna_the_extra_is_named(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optuna_sampler, "find_spec", lambda name: None)
    out = command(*OPTUNA)
    assert out.said == "error: search=optuna needs Optuna, which is not installed: pip install '.[search]'"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("runtime.fuse=auto", "runtime.early_exit=2"),
            "runtime.early_exit=2 is for groups, and search=halving",
        ),
        (
            ("runtime.fuse=auto", "plan=true"),
            "runtime.fuse=auto is for groups, and search=halving trains each",
        ),
        (("runtime.extends=0123456789abcdef",), "adds values to a sweep, and search=halving chooses its own"),
    ],
)
def test_what_is_for_sweeps_alone_is_refused(command: CommandLine, words: tuple[str, ...], said: str) -> None:
    out = command("search=halving", "method=lora", "train.lr=1e-4,1e-3,1e-2", "train.epochs=3", *words)
    assert (out.status, out.names) == (1, [])
    assert said in out.errors + out.said


def test_a_search_is_not_extended(command: CommandLine) -> None:
    assert command(*HALVING).status == 0
    with pytest.raises(BadConfig, match="is a search: give its command a larger budget"):
        extended(command.store, str(command.store.last_sweep()), ["seed=3"])
