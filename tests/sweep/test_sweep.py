"""What a sweep runs and skips, what it says of that, and what it returns to Hydra."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra.core.utils import JobReturn, JobStatus
from three_ranks import NAMES, RANKS

import hydra_plugins.tunesweep._sweep as plugin
from command_line import CommandLine, fail, succeed
from tunesweep.config import RunConfig
from tunesweep.record import RunRecord


def test_a_yaml_edited_during_the_sweep_changes_no_later_point(command: CommandLine, conf: Path) -> None:
    def edit(config: RunConfig) -> RunRecord:
        method = conf / "method" / "lora.yaml"
        method.write_text(method.read_text().replace("lr: 1e-3", "lr: 0.5"))
        (conf / "train" / "default.yaml").write_text("batch_size: 7\n")
        return succeed(config)

    command.task = edit
    first = command(*RANKS)
    assert [config.train.lr for config in first.ran] == [1e-3] * 3
    assert {config.train.batch_size for config in first.ran} == {32}
    again = command(*RANKS)
    assert [config.train.lr for config in again.ran] == [0.5] * 3  # and the next sweep sees the edit


def test_frozen_configs_are_on_disk_before_the_first_point(command: CommandLine) -> None:
    seen = []

    def look(config: RunConfig) -> RunRecord:
        path = command.store.path("sweeps", config.runtime.point.sweep_id)
        seen.append(json.loads(path.read_text()))
        return succeed(config)

    command.task = look
    out = command("method=full,lora", "lora.r=4,8")
    ids = [config.runtime.point.run_id for config in out.ran]
    assert seen[0] == seen[-1]
    assert seen[0]["members"] == ids
    assert seen[0]["duplicates"] == 1
    frozen = [seen[0]["points"][run_id]["config"] for run_id in ids]
    assert [(c["method"]["name"], c["train"]["lr"]) for c in frozen] == [("full", 5e-5)] + [
        ("lora", 1e-3)
    ] * 2
    assert [c["lora"]["alpha"] for c in frozen] == [8, 8, 16]


def test_a_finished_point_is_skipped_and_the_table_shown_again(command: CommandLine) -> None:
    first, again = command(*RANKS), command(*RANKS)
    assert (len(first.ran), again.names, again.status) == (3, [], 0)
    assert "3 finished, 0 to do" in again.errors
    assert again.output == first.output


def test_only_what_is_missing_runs(command: CommandLine) -> None:
    command("lora.r=4")
    assert command(*RANKS).names == ["lora.r=2", "lora.r=8"]


def test_force_runs_everything_again(command: CommandLine) -> None:
    command(*RANKS)
    assert command(*RANKS, "runtime.force=true").names == NAMES


def test_a_failed_point_becomes_a_row_and_the_rest_goes_on(command: CommandLine) -> None:
    command.task = lambda config: fail(config) if config.lora.r == 2 else succeed(config)
    out = command(*RANKS)
    assert out.names == NAMES
    assert out.status == 1
    assert "1 of 3 runs failed" in out.said
    assert "lora.r=2: diverged: it broke" in out.said
    assert [line.split()[-2:] for line in out.output.splitlines() if line.startswith("lora ")] == [
        ["–", "failed"],
        ["–", "succeeded"],
        ["–", "succeeded"],
    ]


def test_a_failed_point_runs_again_and_the_others_do_not(command: CommandLine) -> None:
    command.task = lambda config: fail(config) if config.lora.r == 2 else succeed(config)
    command(*RANKS)
    command.task = succeed
    again = command(*RANKS)
    assert (again.names, again.status) == (["lora.r=2"], 0)


def test_a_failed_integrity_check_is_shown_and_not_run_again(command: CommandLine) -> None:
    command.task = lambda config: fail(config, "integrity")
    command("lora.r=4")
    command.task = succeed
    again = command("lora.r=4,8")
    assert again.names == ["lora.r=8"]
    assert "1 failed their integrity checks (runtime.force=true runs them again)" in again.errors
    assert (again.status, "lora.r=4: integrity: it broke" in again.said) == (1, True)
    forced = command("lora.r=4", "runtime.force=true")
    assert (forced.names, forced.status) == (["lora.r=4"], 0)


def test_a_half_written_record_runs_again_and_is_set_aside(command: CommandLine) -> None:
    run_id = command("lora.r=4").ran[0].runtime.point.run_id
    path = command.store.path("records", run_id)
    path.write_text(path.read_text()[:100])
    assert command("lora.r=4").names == ["lora.r=4"]
    assert len(path.with_name(f"{path.name}.broken").read_text()) == 100


def test_sweep_returns_one_result_for_each_point(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[list[list[JobReturn]]] = []

    def keep(*arguments: Any) -> Any:
        batches.append(original(*arguments))
        return batches[-1]

    original = plugin.sweep
    monkeypatch.setattr(plugin, "sweep", keep)
    command("lora.r=4")
    command("method=full,lora", "lora.r=4,8")
    batch = batches[1][0]
    names = ["method=full lora.r=4", "method=full lora.r=8", "method=lora lora.r=4", "method=lora lora.r=8"]
    assert [
        " ".join(result.overrides or ())[: len(name)] for result, name in zip(batch, names, strict=True)
    ] == names
    assert {result.status for result in batch} == {JobStatus.COMPLETED}
    assert [result.cfg.lora.r for result in batch if result.cfg] == [4, 8, 4, 8]
    assert [result._return_value is not None for result in batch] == [True, False, False, True]


def test_a_launcher_gets_copies_of_the_frozen_configs(command: CommandLine) -> None:
    plan: dict[tuple[str, ...], Any] = {("a=1",): {"nested": [1]}}
    loader = plugin.FrozenLoader(object(), plan)  # type: ignore[arg-type]
    got = loader.load_sweep_config({}, ["a=1"])  # type: ignore[arg-type]
    got["nested"].append(2)
    assert plan[("a=1",)] == {"nested": [1]}


def test_stores_of_one_sweep_must_be_one(command: CommandLine, tmp_path: Path) -> None:
    command.place = [f"runtime.store={tmp_path / 'a'},{tmp_path / 'b'}", "runtime.wandb.mode=disabled"]
    out = command("lora.r=4")
    assert "must be one folder for the whole sweep" in out.said
    assert (out.status, out.ran) == (1, [])


FOREIGN = """
import hydra
from omegaconf import DictConfig

@hydra.main(version_base="1.3", config_path=None, config_name="foreign")
def main(cfg: DictConfig) -> None:
    print("x", cfg.x, "y", cfg.y)

if __name__ == "__main__":
    from hydra.core.config_store import ConfigStore
    ConfigStore.instance().store(name="foreign", node={"x": 1, "y": 2})
    main()
"""


def test_a_configuration_that_is_not_ours_passes_through(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(FOREIGN)
    words = ["-m", "hydra/sweeper=planning", "x=1,2", "y=3,4"]
    done = subprocess.run(
        [sys.executable, "app.py", *words], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    found = [line for line in done.stdout.splitlines() if line.startswith("x ")]
    assert found == [f"x {x} y {y}" for x in (1, 2) for y in (3, 4)]
    assert not (tmp_path / "multirun" / "sweeps").exists()


def test_a_copied_method_must_take_its_own_name(command: CommandLine, conf: Path) -> None:
    (conf / "method" / "mine.yaml").write_text((conf / "method" / "lora.yaml").read_text())
    out = command("method=mine")
    assert out.said == "error: method/mine.yaml says name: lora; write name: mine"
    assert (out.status, out.ran) == (1, [])


def test_what_would_fail_again_is_not_said_to_succeed(command: CommandLine) -> None:
    command.task = lambda config: fail(config, "bad_data")
    assert "3 of 3 runs failed; correct the command or what it names:" in command(*RANKS).said
    command.task = lambda config: fail(config, "diverged" if config.lora.r == 2 else "bad_data")
    assert "3 of 3 runs failed; the same command runs again what may succeed:" in command(*RANKS).said


def test_a_file_that_is_no_yaml_is_one_sentence(command: CommandLine, conf: Path) -> None:
    (conf / "method" / "mine.yaml").write_text("name: [mine")
    out = command("method=mine")
    assert out.said.startswith("error: a configuration file is no YAML: ")
    assert "mine.yaml" in out.said
    assert (out.status, out.ran) == (1, [])


def test_all_rows_have_their_first_seed_before_any_has_its_second(command: CommandLine) -> None:
    out = command("-m", "method=lora", "lora.r=2,4", "seed=0,1")
    assert out.names == ["lora.r=2 seed=0", "lora.r=4 seed=0", "lora.r=2 seed=1", "lora.r=4 seed=1"]
