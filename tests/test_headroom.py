"""Where memory runs out a point goes on with less at a time, and comes to the same result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from test_resuming import MLP, SMALL, same, slow, trained, undisturbed
from tunesweep import headroom
from tunesweep.point import run
from tunesweep.tasks.classification import Classification
from tunesweep.tasks.learner import Learner

WORDS = (*MLP, *SMALL)
REAL = (
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried"),
    MemoryError(),
)


def narrow(monkeypatch: pytest.MonkeyPatch, limit: Callable[[int], int], error: Exception = REAL[0]) -> None:
    """Let a training step fail on more examples than a limit, which may depend on the number of the call."""
    losses, calls = Classification.losses, [0]

    def few(task: Any, network: Any, batch: Any) -> torch.Tensor:
        calls[0] += 1
        if len(batch["index"]) > limit(calls[0]):
            raise error
        return losses(task, network, batch)

    monkeypatch.setattr(Classification, "losses", few)


@pytest.mark.parametrize("error", [REAL[0], *map(slow, REAL[1:])])
def test_micro_batches_are_halved_until_they_fit(make_config, monkeypatch, error):
    plain = undisturbed(make_config, *WORDS, "runtime.micro_batch=8")
    narrow(monkeypatch, lambda _: 8, error)
    found = trained(make_config(*WORDS))
    same(plain, found)
    assert found[1].cost["micro_batch"] == 8
    assert found[1].resumed == []
    assert found[1].runtime["micro_batch"] is None  # what was asked for
    assert found[1].warnings[-2:] == [
        "memory ran out in training with runtime.micro_batch=32: it went on in micro-batches of 16",
        "memory ran out in training with runtime.micro_batch=16: it went on in micro-batches of 8",
    ]


def test_training_goes_on_from_its_last_checkpoint(make_config, monkeypatch):
    whole = undisturbed(make_config, *MLP, *SMALL)
    narrow(monkeypatch, lambda call: 16 if call > 4 else 32)
    found = trained(make_config(*MLP, *SMALL, "runtime.checkpoint_minutes=0"))
    assert found[1].resumed == [4]
    for name, tensor in whole[0].items():
        torch.testing.assert_close(found[0][name], tensor, atol=5e-6, rtol=0)  # sums in another order
    assert [epoch["epoch"] for epoch in found[1].history] == [1, 2, 3]


@pytest.mark.slow
def test_one_example_that_does_not_fit_is_a_failure(make_config, monkeypatch):
    narrow(monkeypatch, lambda _: 0)
    record = run(make_config(*WORDS))
    assert record.failure is not None
    assert record.failure["class"] == "out_of_memory"
    assert record.cost["micro_batch"] == 1
    assert len([warning for warning in record.warnings if "memory ran out" in warning]) == 5


def narrow_look(monkeypatch: pytest.MonkeyPatch, where: Callable[[bool], bool]) -> None:
    """Let a look at more than 8 examples fail, in training's own validation or outside of it."""
    look, validation = Classification.look, Learner.validation_step
    validating = [False]

    def few(task: Any, network: Any, batch: Any) -> Any:
        if len(batch["index"]) > 8 and where(validating[0]):
            raise REAL[0]
        return look(task, network, batch)

    def step(*arguments: Any) -> None:
        validating[0] = True
        try:
            validation(*arguments)
        finally:
            validating[0] = False

    monkeypatch.setattr(Classification, "look", few)
    monkeypatch.setattr(Learner, "validation_step", step)


@pytest.mark.slow
def test_scoring_the_select_split_needs_no_second_training(make_config, monkeypatch):
    plain = trained(make_config(*WORDS, "runtime.eval_batch_size=8"))
    narrow_look(monkeypatch, lambda validating: validating)
    found = trained(make_config(*WORDS))
    same(plain, found)
    assert found[1].cost["eval_batch"] == 8
    assert "micro_batch" not in found[1].cost
    assert found[1].resumed == [3, 3, 3]  # each time the epoch's steps were done


def test_scoring_the_test_split_goes_on_in_smaller_batches(make_config, monkeypatch):
    narrow_look(monkeypatch, lambda validating: not validating)
    monkeypatch.setattr("tunesweep.integrity.SAMPLE", 8)
    record = run(make_config(*WORDS))
    assert record.status == "succeeded", record.failure
    assert record.cost["eval_batch"] == 8


def test_what_is_no_lack_of_memory_is_not_tried_again():
    calls = []

    def work() -> None:
        calls.append(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        headroom.within_memory(work, lambda: True)
    assert calls == [1]
