"""What several processes cannot train is refused before anything starts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tunesweep.capabilities import problems
from tunesweep.config import RunConfig
from tunesweep.errors import BadConfig
from tunesweep.parallel.refusals import several_in_one_process
from tunesweep.sweep.plan import make_plan
from tunesweep.sweep.points import Planned

JOINT = ("runtime.devices=2", "runtime.strategy=ddp")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["method=qlora"], "method=qlora are in 4 bits, which cannot be sharded: use runtime.strategy=ddp"),
        (["method=adalora"], "method=adalora changes whole ones in training: use runtime.strategy=ddp"),
        (["train.optimizer=adamw_8bit"], "use train.optimizer=adamw"),
    ],
)
def test_what_needs_whole_tensors_is_not_sharded(
    make_config: Callable[..., RunConfig], words: list[str], sentence: str
) -> None:
    (problem,) = problems(make_config(*words, "runtime.devices=2", "runtime.strategy=fsdp2"))
    assert problem.endswith(sentence) or sentence in problem
    assert not list(problems(make_config(*words, *JOINT)))


@pytest.mark.parametrize("words", [["runtime.strategy=ddp"], ["runtime.devices=2"]])
def test_number_of_processes_and_strategy_go_together(
    make_config: Callable[..., RunConfig], words: list[str]
) -> None:
    with pytest.raises(BadConfig, match="does not go with"):
        make_config(*words)


def test_several_points_in_one_process_are_refused_with_the_reason(
    make_config: Callable[..., RunConfig],
) -> None:
    points = [make_config(*JOINT, f"seed={seed}") for seed in range(2)]
    with pytest.raises(BadConfig, match=r"runtime.strategy=ddp starts 2 processes for a point.* 2 points"):
        make_plan([Planned((f"seed={seed}",), point) for seed, point in enumerate(points)])
    assert not list(several_in_one_process(points[:1]))
    for point in points:
        point.runtime.point.executor = "submitit_slurm"
    assert not list(several_in_one_process(points))


def test_how_many_processes_train_is_no_part_of_identity(make_config: Callable[..., RunConfig]) -> None:
    from tunesweep.identity import canonical

    assert canonical(make_config(*JOINT)) == canonical(make_config())
