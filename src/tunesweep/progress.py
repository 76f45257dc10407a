"""Progress of a point: a bar on a terminal, one line an epoch elsewhere, nothing when not wanted."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tunesweep.config import Point, RuntimeConfig
from tunesweep.record import RunRecord
from tunesweep.tasks.course import Course
from tunesweep.tasks.learner import Learner


def title(point: Point) -> str:
    """Return which point of how many this is, in the words of its command."""
    name = point.name.replace("\n", "\\n")  # of a value with line breaks: a line stays one
    return f"[{point.index}/{point.total}] {name}" if point.index else name


def progress_callbacks(runtime: RuntimeConfig) -> list[Callback]:
    """Return what shows the progress here."""
    if not runtime.progress:
        return []
    return [Bars(runtime.point)] if sys.stderr.isatty() else [Lines(title(runtime.point))]


def latest(course: Course) -> str:
    """Return the scores of the last epoch in words."""
    scores, monitor = course.history[-1], course.task.monitor
    return f"train loss {scores['train_loss']:.3f}, select {monitor} {scores[monitor]:.3f}"


def say_epoch(title: str, course: Course, epochs: int | None) -> None:
    """Print in a line what an epoch brought."""
    _say(f"{title}: epoch {course.history[-1]['epoch']} of {epochs}, {latest(course)}")


def say_scoring(runtime: RuntimeConfig) -> None:
    """Print in a line that what was trained is scored and checked now, which may take as long."""
    if runtime.progress:
        _say(f"{title(runtime.point)}: trained; scoring and checking it")


def say_resumed(runtime: RuntimeConfig, step: int) -> None:
    """Print in a line that a point does not begin anew."""
    if runtime.progress:
        _say(f"{title(runtime.point)}: goes on after step {step}")


def say_result(record: RunRecord, runtime: RuntimeConfig) -> None:
    """Print in a line what came of a point, after all its checks."""
    if not runtime.progress:
        return
    failure = record.failure or {}
    what = f"failed, {failure.get('class')}"
    if runtime.point.total != 1:  # of a single point the table and the last line say why, in the next moment
        what += f": {failure.get('message')}"
    if record.stopped:
        what = f"stopped {record.stopped}"
    if record.main_metric is not None:
        what = f"{record.metrics['protocol']['metric']} {record.main_metric:.3f} on test, all checks passed"
    minutes = f", {record.cost['minutes']:.1f} min" if "minutes" in record.cost else ""
    _say(f"{title(runtime.point)}: {what}{minutes}")


def _say(line: str) -> None:
    """Print a line, if anybody is left to read it: a closed pipe is no failure of a point."""
    with suppress(BrokenPipeError):
        print(line, file=sys.stderr, flush=True)


class Lines(Callback):
    """One line an epoch."""

    def __init__(self, title: str) -> None:
        self.title = title

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print what is about to be done: the first epoch may take long."""
        epochs, steps = trainer.max_epochs or 1, int(trainer.estimated_stepping_batches)
        _say(f"{self.title}: trains {steps:,} steps in {epochs} epoch{'s' if epochs > 1 else ''}")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print what the epoch brought."""
        assert isinstance(pl_module, Learner)
        say_epoch(self.title, pl_module.course, trainer.max_epochs)


class Bars(Callback):
    """Two bars: the sweep's points and the steps of this one."""

    def __init__(self, point: Point) -> None:
        # A point's name may hold brackets, which rich would take for its own.
        columns: list[Any] = [
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
        ]
        columns += [TimeRemainingColumn(), TextColumn("{task.fields[scores]}", markup=False)]
        self.point, self.bars = point, Progress(*columns, transient=True, console=Console(stderr=True))

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw both bars."""
        self.bars.start()
        self.bars.add_task("sweep", total=self.point.total, completed=max(self.point.index - 1, 0), scores="")
        steps = int(trainer.num_training_batches) * int(trainer.max_epochs or 1)
        done = int(trainer.fit_loop.epoch_loop.total_batch_idx) + 1  # by an attempt before this one
        self.steps = self.bars.add_task(title(self.point), total=steps, completed=done, scores="")

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Move the inner bar."""
        self.bars.advance(self.steps)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show what the epoch brought."""
        assert isinstance(pl_module, Learner)
        self.bars.update(self.steps, scores=latest(pl_module.course))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the bars away; a finished point has its line in the table."""
        self.bars.stop()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Leave the terminal as it was."""
        self.bars.stop()
