"""A point that several processes train is the point that one process trains."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunesweep.config import RunConfig
from tunesweep.parallel import group
from tunesweep.point import run
from tunesweep.record import RunRecord

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
TOLERANCE = 1e-5
# 70 rows leave a last batch of 6, and micro-batches of 3 leave one process without an example at the end.
TEXTS = (
    *("model=random_bert", "train.precision=fp32", "train.epochs=2", "train.batch_size=16"),
    *("dataset.limit.train=70", "dataset.limit.select=32", "dataset.limit.test=16", "runtime.micro_batch=3"),
    *("train.lr=1e-2", "runtime.device=cpu"),
)


def losses(record: RunRecord) -> list[float]:
    return [epoch[name] for epoch in record.history for name in ("train_loss", "loss")]


def carried_out(make_config: Callable[..., RunConfig], store: str, *words: str) -> RunRecord:
    config = make_config(*TEXTS, *words)
    config.runtime.store += store
    record = run(config)
    assert record.status == "succeeded", record.failure
    return record


@pytest.mark.parametrize(("strategy", "method"), [("ddp", "lora"), ("fsdp2", "full")])
def test_two_processes_have_the_loss_of_one(
    make_config: Callable[..., RunConfig], strategy: str, method: str, capfd: Any
) -> None:
    alone = carried_out(make_config, "alone", f"method={method}")
    words = (f"method={method}", f"runtime.strategy={strategy}", "runtime.devices=2")
    together = carried_out(make_config, "together", *words)
    assert together.run_id == alone.run_id
    assert losses(together) == pytest.approx(losses(alone), abs=TOLERANCE, rel=0)
    assert losses(alone)[3] != pytest.approx(losses(alone)[1], abs=100 * TOLERANCE)  # training moves the loss
    assert together.metrics["test"]["log_loss"] == pytest.approx(
        alone.metrics["test"]["log_loss"], abs=TOLERANCE
    )
    assert together.integrity["frozen_tensors_unchanged"] == alone.integrity["frozen_tensors_unchanged"]
    assert together.runtime["strategy"], together.runtime["devices"] == (strategy, 2)
    assert together.cost["memory_how"].endswith("the largest of 2 processes")
    assert "Warning" not in capfd.readouterr().err


def test_what_stops_one_process_is_the_failure_of_the_point(make_config: Callable[..., RunConfig]) -> None:
    words = ("runtime.strategy=ddp", "runtime.devices=2", "method=full", "train.lr=1e38")
    record = run(make_config("model=logistic", "dataset=digits", "dataset.limit.train=64", *words))
    failure = record.failure or {}
    assert failure["class"] == "bug"
    assert failure["message"] == "RuntimeError: value cannot be converted to type float without overflow"
    assert "optimizer_step" in failure["log"]  # of the process, not of the one that waited for it


def test_a_point_of_several_processes_is_stopped_with_all_of_them(
    make_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []

    def stop(running: list[Any], *_: Any) -> None:
        started.extend(running)
        raise KeyboardInterrupt

    monkeypatch.setattr(group, "_wait", stop)
    config = make_config(*TEXTS, "method=full", "runtime.strategy=ddp", "runtime.devices=2")
    with pytest.raises(KeyboardInterrupt, match="the same command begins it anew"):
        run(config)
    assert [process.poll() for process in started] == [-signal.SIGKILL] * 2
    assert not list((Path(config.runtime.store) / "work").iterdir())
