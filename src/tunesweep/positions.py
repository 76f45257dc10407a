"""Where in its epochs a trainer begins: Lightning's loops count batches, checkpoints optimiser steps."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl

from tunesweep.data.batches import GlobalBatches


def steps_per_epoch(batches: GlobalBatches) -> int:
    """Return the optimiser steps of one epoch."""
    return -(-len(batches) // batches.accumulation)


def begin_at(trainer: pl.Trainer, batches: GlobalBatches, epoch: int, within: int) -> None:
    """Let a trainer that has not begun go on in an epoch, after so many of its optimiser steps.

    Lightning restores the progress of its loops as from a checkpoint of its own. Batches that are done
    are passed over by index; an epoch whose batches are all done begins with its validation.
    """
    steps, size = steps_per_epoch(batches), len(batches)
    done, total = min(within * batches.accumulation, size), epoch * steps + within
    whole = done == size
    batches.begin_at(epoch + 1, 0) if whole else batches.begin_at(epoch, done)
    state = trainer.fit_loop.state_dict()
    state["epoch_progress"] = _both(_progress(epoch + 1, epoch), _progress(epoch + 1, epoch))
    batch = _both(_progress(epoch * size + done), _progress(done)) | {"is_last_batch": whole}
    state["epoch_loop.batch_progress"] = batch
    state["epoch_loop.scheduler_progress"] = _both(_counts(total), _counts(within))
    stepped = {"step": _both(_counts(total), _counts(within))}
    stepped["zero_grad"] = _both(_started(total), _started(within))
    state["epoch_loop.automatic_optimization.optim_progress"] = {"optimizer": stepped}
    state["epoch_loop.state_dict"] = {"_batches_that_stepped": total}
    if whole:  # a validation that was begun and not ended is carried out
        begun = _both(_progress(1, 0), _progress(0)) | {"is_last_batch": False}
        state["epoch_loop.val_loop.batch_progress"] = begun
    trainer.fit_loop.load_state_dict(state)


def _both(total: dict[str, int], current: dict[str, int]) -> dict[str, Any]:
    return {"total": total, "current": current}


def _counts(number: int) -> dict[str, int]:
    return {"ready": number, "completed": number}


def _started(number: int) -> dict[str, int]:
    return _counts(number) | {"started": number}


def _progress(begun: int, done: int | None = None) -> dict[str, int]:
    done = begun if done is None else done
    return {"ready": begun, "started": begun, "processed": done, "completed": done}
