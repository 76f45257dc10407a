"""Less at a time where memory runs out, and the same result: micro-batches are halved, never the batch."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import torch

from tunesweep.attempt import failure_class
from tunesweep.memory import trim

if TYPE_CHECKING:
    from tunesweep.stages import Workplace

Result = TypeVar("Result")


def within_memory(function: Callable[[], Result], shrink: Callable[[], bool]) -> Result:
    """Call a function until its memory suffices; `shrink` makes it need less, and says if it could."""
    while True:
        try:
            return function()
        except BaseException as error:
            if failure_class(error) != "out_of_memory" or not shrink():
                raise
        release()  # not before the error is gone, which holds on to everything


def release() -> None:
    """Give back what nobody holds any more."""
    gc.collect()
    trim()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def halve_micro_batch(work: Workplace) -> bool:
    """Let each forward of training see half as many examples, and the optimiser as many as before."""
    before = work.data.batches.micro
    if before == 1:
        return False
    work.config.runtime.micro_batch = before // 2
    work.data.divide_again()
    work.record.cost["micro_batch"] = before // 2
    _say(work, f"training with runtime.micro_batch={before}", f"micro-batches of {before // 2}")
    return True


def halve_eval_batch(work: Workplace) -> bool:
    """Score half as many examples at a time."""
    before = work.config.runtime.eval_batch_size
    if before == 1:
        return False
    work.config.runtime.eval_batch_size = work.record.cost["eval_batch"] = before // 2
    _say(work, f"scoring with runtime.eval_batch_size={before}", f"batches of {before // 2}")
    return True


def _say(work: Workplace, what: str, instead: str) -> None:
    work.record.warnings.append(f"memory ran out in {what}: it went on in {instead}")
