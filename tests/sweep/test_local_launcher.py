"""What lies between Hydra and the pool, without a worker."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import cloudpickle
import pytest
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from command_line import CommandLine
from hydra_plugins.tunesweep import _jobs
from tunesweep.config import RunConfig
from tunesweep.errors import BadConfig
from tunesweep.sweep import allotment
from tunesweep.sweep.allotment import share_out
from tunesweep.sweep.jobs import Loss

CONFIG = OmegaConf.create({"lora": {"r": 4}, "hydra": {"job": {}}})
Make = Callable[..., RunConfig]


def test_too_many_workers_are_refused_before_anything_is_written(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allotment, "cores", lambda: 4)
    out = command("lora.r=4,8", "hydra/launcher=local", "runtime.device=cpu", "runtime.workers=5")
    assert out.said.startswith("error: runtime.workers=5 is more than the 4 cores")
    assert (out.status, out.ran, command.store.sweeps()) == (1, [], [])


def test_a_sweep_has_one_number_of_workers(make_config: Make) -> None:
    points = [make_config(f"runtime.workers={count}", "runtime.device=cpu") for count in (1, 2)]
    with pytest.raises(BadConfig, match=r"runtime.workers=1 with .*, 2 with .* must be one number"):
        share_out(points)


def test_no_number_of_workers_below_one(command: CommandLine) -> None:
    assert "runtime.workers=0 must be above zero" in command("runtime.workers=0").said
    assert "runtime.stop_after=0 must be above zero" in command("runtime.stop_after=0").said


class Unportable(Exception):
    """Pickles, and cannot be built again from what was pickled."""

    def __init__(self, word: str, number: int) -> None:
        super().__init__(f"{word} {number}")


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (ValueError("no"), ValueError, "no"),
        (Unportable("at", 3), RuntimeError, "Unportable: at 3"),
        (OSError(lambda: 0), OSError, None),
    ],
)
def test_an_error_survives_the_way_back(error: Exception, kind: type[Exception], text: str | None) -> None:
    failed = JobReturn(status=JobStatus.FAILED, _return_value=error)
    back = pickle.loads(cloudpickle.dumps(_jobs._portable(failed)))._return_value
    assert type(back) is kind
    assert text is None or str(back) == text


def test_hydra_is_told_of_a_lost_job_and_of_one_that_needed_no_worker() -> None:
    lost = _jobs.returned(["lora.r=4"], CONFIG, None, Loss("lost", "its worker is gone", ""))
    assert (lost.status, str(lost._return_value)) == (JobStatus.FAILED, "its worker is gone")
    settled = _jobs.returned(["lora.r=4"], CONFIG, None, None)
    assert (settled.status, settled.overrides, settled.cfg) == (
        JobStatus.COMPLETED,
        ["lora.r=4"],
        {"lora": {"r": 4}},
    )
    answer = JobReturn(status=JobStatus.COMPLETED, _return_value=0.5)
    assert _jobs.returned(["lora.r=4"], CONFIG, answer, None) is answer
