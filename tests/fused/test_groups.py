"""Who goes with whom, and why the others do not: decided on configurations alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pairs
import pytest

import samples
from tunesweep.config import RunConfig
from tunesweep.fused import groups
from tunesweep.fused.groups import NOBODY, REST, TOO_LARGE, divide
from tunesweep.fused.rules import NEVER

Make = Callable[..., RunConfig]
SIX = ("lora", "dora", "ia3", "bitfit", "head_only", "lora lora.rslora=true")


@pytest.fixture
def plan(make_config: Make, tmp_path: Path) -> Callable[..., list[RunConfig]]:
    def points(*runs: str, shared: tuple[str, ...] = ()) -> list[RunConfig]:
        words = ("train.precision=fp32", *samples.films(tmp_path), *shared)
        return pairs.points(make_config, tmp_path / "store", words, runs)

    return points


def test_the_methods_that_change_single_layers_all_go_together(plan: Callable[..., list[RunConfig]]) -> None:
    found = divide(plan(*(f"method={name}" for name in SIX)))
    assert (found.groups, found.alone) == ([[0, 1, 2, 3, 4, 5]], {})


def test_nothing_goes_together_unless_it_is_asked_for(make_config: Make, tmp_path: Path) -> None:
    configs = [make_config(*samples.films(tmp_path), f"lora.r={r}") for r in (2, 4)]
    for config in configs:
        config.runtime.point.executor = "worker"
    found = divide(configs)
    assert (found.groups, set(found.alone.values())) == ([], {NEVER})
    assert found.sentences(configs) == []


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        ("method=full", "it trains the base itself"),
        ("method=prefix_tuning", "its method changes more than single layers"),
        ("method=bottleneck", "its method changes more than single layers"),
        ("method=vera", "its method changes more than single layers"),
        ("method=adalora", "its method changes the network while it learns"),
        ("train.dropout=0.1", "train.dropout draws in shared layers"),
        ("train.dropout=null", "train.dropout draws in shared layers"),
        ("runtime.timeout_minutes=3", "runtime.timeout_minutes is a limit for each run"),
        ("runtime.gradient_checkpointing=true", "runtime.gradient_checkpointing computes layers twice"),
        ("method=qlora", NOBODY),
        ("train.batch_size=3", NOBODY),
        ("readout=linear", NOBODY),
        ("seeds.split=1", NOBODY),
    ],
)
def test_others_are_alone_and_the_reason_is_said(
    plan: Callable[..., list[RunConfig]], run: str, reason: str
) -> None:
    configs = plan("method=lora", "method=lora lora.r=4 seed=1 train.lr=1e-2", run)
    found = divide(configs)
    assert (found.groups, found.alone) == ([[0, 1]], {2: reason})
    assert found.sentences(configs)[-1] == f"Alone, as {reason}: {run}."
    assert found.jobs(3) == [[0, 1], [2]]


def test_groups_are_cut_for_workers_and_by_what_is_asked(plan: Callable[..., list[RunConfig]]) -> None:
    runs = [f"lora.r={r} seed={seed}" for r in (1, 2, 3) for seed in (0, 1)]
    assert divide(plan(*runs)).groups == [[0, 1, 2, 3, 4, 5]]
    # Those of one seed see the same batches, and stand together.
    assert divide(plan(*runs), workers=2).groups == [[0, 2, 4], [1, 3, 5]]
    # Where every worker has something to do as it is, nothing is cut.
    kinds = [f"lora.r={r} train.batch_size={size}" for size in (4, 8) for r in (1, 2, 3, 4)]
    assert divide(plan(*kinds), workers=2).groups == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert divide(plan(*kinds), workers=3).groups == [[0, 1], [2, 3], [4, 5, 6, 7]]
    assert divide(plan(*kinds[:4], "method=full"), workers=2).groups == [[0, 1, 2, 3]]
    three = divide(plan(*runs[:3], shared=("runtime.fuse=2",)))
    assert len(three.groups) == 1
    assert list(three.alone.values()) == [REST]


def test_a_group_is_no_larger_than_memory_allows(
    plan: Callable[..., list[RunConfig]], monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = plan("lora.r=1", "lora.r=2", "lora.r=3", "lora.r=4")
    for config in configs:
        config.runtime.point.memory_bytes = 10
    monkeypatch.setattr(groups, "on_gpu", lambda _: True)
    monkeypatch.setattr(groups, "free_memory", lambda _: 40)  # of which half: two runs
    assert [len(group) for group in divide(configs).groups] == [2, 2]
    monkeypatch.setattr(groups, "free_memory", lambda _: 80)
    assert [len(group) for group in divide(configs).groups] == [4]
    monkeypatch.setattr(groups, "free_memory", lambda _: 20)
    assert set(divide(configs).alone.values()) == {TOO_LARGE}


def test_on_a_cpu_runs_of_a_group_share_what_two_of_them_need_for_a_pass(
    plan: Callable[..., list[RunConfig]], monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = plan("lora.r=1", "lora.r=2", "lora.r=3", "lora.r=4")
    monkeypatch.setattr(groups, "on_gpu", lambda _: False)

    def sizes(free: int, own: int, workers: int = 1) -> list[int]:
        for config in configs:
            config.runtime.point.memory_bytes, config.runtime.point.own_bytes = 100, own
        monkeypatch.setattr(groups, "free_memory", lambda _: free)  # of which half
        return [len(group) for group in divide(configs, workers=workers).groups]

    assert sizes(440, own=10) == [4]  # 2 x 90 + 4 x 10
    assert sizes(438, own=10) == [2, 2]
    assert sizes(440, own=50) == [2, 2]  # 2 x 50 + 2 x 50: large adapters
    assert sizes(398, own=10) == []
    assert sizes(440, own=10, workers=2) == []  # each has half of that half
    assert sizes(880, own=10, workers=2) == [2, 2]
