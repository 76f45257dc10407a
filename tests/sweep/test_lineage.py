"""Runs that start from runs: labels become run ids, sources go first, and their failures are passed on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra.core.utils import JobReturn

import hydra_plugins.tunesweep._sweep as plugin
from command_line import CommandLine, Outcome, fail, succeed
from tunesweep.config import RunConfig
from tunesweep.record import RunRecord

Write = Callable[[str], None]
BASE = "{label: base, points: [method=full]}"
TUNED = "[method=lora, lora.r=2, model.init_from=base]"
BLOCKS = f"blocks: [{TUNED}, {BASE}]"  # what starts from others may stand first


@pytest.fixture
def kept(command: CommandLine) -> CommandLine:
    """Return the command line on which points succeed and keep weights, as they are told to."""
    command.task = lambda config: keep(command, config)
    return command


def keep(command: CommandLine, config: RunConfig) -> RunRecord:
    record = succeed(config)
    record.provenance["model_fingerprint"] = config.runtime.point.model_fingerprint
    record.data["fingerprint"] = config.runtime.point.data_fingerprint
    if config.runtime.keep == "all" or not config.method.full:
        folder = command.store.path("adapters", record.run_id)
        folder.mkdir(parents=True, exist_ok=True)
        record.artefacts["adapter"] = command.store.relative(folder)
    return record


def ids(out: Outcome) -> list[str]:
    return [config.runtime.point.run_id for config in out.ran]


def sources(out: Outcome) -> list[str | None]:
    return [config.model.init_from for config in out.ran]


def fail_full(command: CommandLine) -> Callable[[RunConfig], RunRecord]:
    return lambda config: fail(config) if config.method.full else keep(command, config)


def test_a_label_becomes_the_run_that_is_carried_out_before(kept: CommandLine, experiment: Write) -> None:
    experiment(BLOCKS)
    out = kept("experiment=mine")
    assert [config.method.name for config in out.ran] == ["full", "lora"]
    assert sources(out) == [None, ids(out)[0]]
    assert [config.runtime.point.index for config in out.ran] == [1, 2]
    assert (out.status, len(set(ids(out)))) == (0, 2)
    assert [config.runtime.keep for config in out.ran] == ["all", "adapter"]
    assert "1 keep all their weights (runtime.keep=all), as others start from them" in out.errors
    path = kept.store.path("sweeps", out.ran[0].runtime.point.sweep_id)
    points = json.loads(path.read_text())["points"]
    assert [points[i]["config"]["model"]["init_from"] for i in ids(out)] == sources(out)
    assert {record.config["model"]["init_from"] for record in kept.store.records()} == {None, ids(out)[0]}


def test_every_stage_is_a_launch_of_its_own(
    kept: CommandLine, experiment: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    launches: list[tuple[int, list[str]]] = []
    batches: list[list[list[JobReturn]]] = []
    watch(monkeypatch, launches, batches)
    experiment(
        "blocks: [{label: last, points: [lora.r=2, model.init_from=middle]}, "
        f"{{label: middle, points: ['lora.r=4', model.init_from=base]}}, {BASE}, [lora.r=16]]"
    )
    kept("experiment=mine")
    assert launches == [(0, ["method=full", "lora.r=16"]), (2, ["lora.r=4"]), (3, ["lora.r=2"])]
    assert [[first_word(r) for r in batch] for batch in batches[0]] == [words for _, words in launches]
    kept("experiment=mine")  # all finished: one batch of all, in the order of the command
    assert [[first_word(r) for r in batch] for batch in batches[1]] == [
        ["lora.r=2", "lora.r=4", "method=full", "lora.r=16"]
    ]
    assert len(launches) == 3


def first_word(result: JobReturn) -> str:
    return next(iter(result.overrides or []))


def watch(monkeypatch: pytest.MonkeyPatch, launches: list[Any], batches: list[Any]) -> None:
    """Write down what each launch is given, and what the sweep returns."""
    launcher, sweep = plugin._launcher, plugin.sweep

    class Watched:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def launch(self, words: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
            launches.append((initial_job_idx, [word[0] for word in words]))
            returns: Sequence[JobReturn] = self.inner.launch(words, initial_job_idx)
            return returns

    def keep_batches(*given: Any) -> Any:
        batches.append(sweep(*given))
        return batches[-1]

    monkeypatch.setattr(plugin, "_launcher", lambda *given: Watched(launcher(*given)))
    monkeypatch.setattr(plugin, "sweep", keep_batches)


def test_a_failed_source_makes_its_dependants_rows_that_say_so(
    command: CommandLine, experiment: Write
) -> None:
    experiment(BLOCKS)
    command.task = fail_full(command)
    out = command("experiment=mine")
    assert [config.method.name for config in out.ran] == ["full"]
    failures = {record.name: record.failure or {} for record in command.store.records()}
    assert [f["class"] for _, f in sorted(failures.items())] == ["diverged", "source failed"]
    message = next(f["message"] for f in failures.values() if f["class"] == "source failed")
    assert message == f"run {ids(out)[0]} (method=full), from which it starts: diverged: it broke"
    assert out.status == 1
    assert "2 of 2 runs failed; the same command runs again what may succeed:" in out.said
    assert out.said.count("source failed: run ") == 1
    assert out.output.count("failed") >= 2  # two rows of the table
    command.task = lambda config: keep(command, config)
    again = command("experiment=mine")
    assert (len(again.ran), again.status) == (2, 0)


def test_a_source_that_leaves_no_record_fails_its_dependants(command: CommandLine, experiment: Write) -> None:
    def die(config: RunConfig) -> RunRecord:
        raise RuntimeError("no device left")

    experiment(BLOCKS)
    command.task = die
    out = command("experiment=mine")
    found = {record.config["method"]["name"]: record.failure or {} for record in command.store.records()}
    assert {name: failure["class"] for name, failure in found.items()} == {
        "full": "lost",
        "lora": "source failed",
    }
    assert found["lora"]["message"].endswith("lost: no device left")
    assert (len(out.ran), out.status) == (1, 1)


def test_what_is_wrong_with_a_source_is_to_be_corrected_first(
    command: CommandLine, experiment: Write
) -> None:
    experiment(BLOCKS)
    command.task = lambda config: fail(config, "bad_data")
    assert "correct the command or what it names" in command("experiment=mine").said


def test_a_failed_dependant_runs_again_from_the_finished_source(kept: CommandLine, experiment: Write) -> None:
    experiment(BLOCKS)
    kept.task = lambda config: keep(kept, config) if config.method.full else fail(config)
    first = kept("experiment=mine")
    kept.task = lambda config: keep(kept, config)
    again = kept("experiment=mine")
    assert [config.method.name for config in again.ran] == ["lora"]
    assert sources(again) == [ids(first)[0]]
    assert "1 finished, 1 to do" in again.errors


def test_a_finished_source_without_weights_runs_again_when_they_are_needed(
    kept: CommandLine, experiment: Write
) -> None:
    experiment(BLOCKS)
    kept("method=full")
    out = kept("experiment=mine")
    assert [config.method.name for config in out.ran] == ["full", "lora"]
    assert [config.runtime.force for config in out.ran] == [True, False]
    for folder in kept.store.root.glob("adapters/*"):
        folder.rmdir()
    assert kept("experiment=mine").ran == []  # nothing is left that needs them


def test_points_of_a_label_pair_by_their_seed(kept: CommandLine, experiment: Write) -> None:
    experiment(BLOCKS)
    out = kept("experiment=mine", "seed=0,1")
    seeds = {config.runtime.point.run_id: config.seed for config in out.ran}
    assert [config.seed for config in out.ran] == [0, 1, 0, 1]
    assert [seeds[i] for i in sources(out) if i] == [0, 1]


def test_a_label_belongs_to_its_experiment(kept: CommandLine, experiment: Write, conf: Path) -> None:
    experiment(BLOCKS)
    text = (conf / "experiment" / "mine.yaml").read_text()
    (conf / "experiment" / "other.yaml").write_text(text.replace("method=full", "method=head_only"))
    out = kept("experiment=mine,other")
    kinds = {config.runtime.point.run_id: config.method.name for config in out.ran}
    assert sorted(kinds[i] for i in sources(out) if i) == ["full", "head_only"]


REFUSED = [
    (f"{BASE}, [model.init_from=bsae]", "bsae is neither the id of a run nor the label", "'base'?"),
    ("{label: a, points: [model.init_from=a]}", "model.init_from=a -> a goes round in a circle", ""),
    ("[model.init_from=0123456789abcdef]", "holds no such run", "runtime.keep=all"),
    (f"{BASE}, [seeds.split=1, model.init_from=base]", "has learned from rows that are scored here", ""),
]


@pytest.mark.parametrize(("blocks", "words", "hint"), REFUSED)
def test_what_nothing_can_start_from_is_refused(
    command: CommandLine, experiment: Write, blocks: str, words: str, hint: str
) -> None:
    experiment(f"blocks: [{blocks}]")
    out = command("experiment=mine")
    assert words in out.said
    assert hint in out.said
    assert (out.status, out.ran) == (1, [])


def test_a_run_given_by_hand_must_have_kept_its_weights(kept: CommandLine) -> None:
    run_id = ids(kept("method=full"))[0]
    out = kept("method=lora", f"model.init_from={run_id}")
    assert out.said.endswith("that run kept no weights; repeat it with runtime.keep=all runtime.force=true")
    kept("method=full", "runtime.keep=all", "runtime.force=true")
    out = kept("method=lora", f"model.init_from={run_id}")
    assert (out.status, sources(out)) == (0, [run_id])
    kept.store.path("records", run_id).unlink()  # once all is finished, nobody needs it
    out = kept("method=lora", f"model.init_from={run_id}")
    assert (out.status, out.ran) == (0, [])


def test_a_run_given_by_hand_must_have_succeeded(command: CommandLine) -> None:
    command.task = fail
    run_id = ids(command("method=full"))[0]
    out = command("method=lora", f"model.init_from={run_id}")
    assert "that run has failed; repeat it, with runtime.keep=all" in out.said
