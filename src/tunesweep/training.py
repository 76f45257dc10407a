"""Training from its beginning, or from where an earlier attempt was stopped, to the best epoch's weights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tunesweep import headroom, random_states
from tunesweep.checkpoint import Notes
from tunesweep.identity import digest
from tunesweep.memory import MemoryWatch
from tunesweep.methods import artefact
from tunesweep.models.compiled import compiled
from tunesweep.positions import begin_at
from tunesweep.progress import progress_callbacks, say_resumed
from tunesweep.resuming import Keeper, Watches
from tunesweep.stopping import Stop
from tunesweep.tasks.learner import Learner
from tunesweep.trainer import BestOnSelect, Stopwatch, build_trainer, fit

if TYPE_CHECKING:
    from tunesweep.stages import Workplace


def learn(work: Workplace) -> Notes:
    """Train, in smaller micro-batches where memory runs out, and return what is known at the end."""
    attempts = Attempts(work)
    return headroom.within_memory(attempts.once, attempts.shrink)


def names_of(work: Workplace) -> str:
    """Return what stands for the names and shapes of what is trained."""
    return digest([[name, list(tensor.shape)] for name, tensor in sorted(work.untrained.items())])


class Attempts:
    """Attempts at one training: each begins where the one before was kept."""

    def __init__(self, work: Workplace) -> None:
        self.work = work
        self.stop = Stop(work.config.runtime.timeout_minutes, work.began)
        self._random = random_states.capture()
        self._begun = Notes(work.run_id, work.config.runtime.point.command, names_of(work))
        self._keeper: Keeper | None = None

    def once(self) -> Notes:
        """Go on from the last checkpoint, or begin."""
        work, notes = self.work, self._begun
        found = self._keeper.notes if self._keeper else work.kept
        if found and found.tensors != notes.tensors:
            work.record.warnings.append(
                "a checkpoint of other weights was passed over, and the run begins anew"
            )
            work.kept = found = None
        if found and found.step:
            notes = replace(found, resumed=[*found.resumed, found.step])
        work.record.resumed = notes.resumed
        if notes.finished:
            self._best(notes).bring_back(work.network)
            return notes
        self._begin_anew()
        return self._fit(notes)

    def shrink(self) -> bool:
        """Need less memory in the next attempt, if that is possible."""
        scoring = self._keeper is not None and self._keeper.validating
        return (headroom.halve_eval_batch if scoring else headroom.halve_micro_batch)(self.work)

    def _begin_anew(self) -> None:
        """Undo what an attempt before this one has trained."""
        artefact.restore(self.work.network, self.work.untrained)
        self.work.data.batches.begin_at(0, 0)
        random_states.restore(self._random)

    def _best(self, notes: Notes) -> BestOnSelect:
        return BestOnSelect(self.work.task.monitor, self.work.folder, **notes.best)

    def _fit(self, notes: Notes) -> Notes:
        work, batches = self.work, self.work.data.batches
        memory = MemoryWatch(work.device)
        watches = Watches(Stopwatch(**notes.watch), self._best(notes), memory, self.stop)
        if notes.micro_batch != batches.micro:  # memory is what training took as it is now carried out
            notes = replace(notes, micro_batch=batches.micro, memory={})
        every_s = work.config.runtime.checkpoint_minutes * 60
        keeper = self._keeper = Keeper(work.place, notes, watches, every_s, work.record.warnings)
        learner = Learner(work.network, work.config, work.data, work.task)
        callbacks = [watches.time, watches.best, keeper, *progress_callbacks(work.config.runtime)]
        trainer = build_trainer(work.config, work.device, callbacks, batches.accumulation, work.task)
        if notes.step:
            say_resumed(work.config.runtime, notes.step)
            begin_at(trainer, batches, notes.epoch, notes.within)
            learner.course.history = list(notes.history)
        faster = compiled(work.network, work.config.runtime.compile)
        with memory, self.stop.heard(), faster:
            fit(trainer, learner, work.data)
        work.network.to(work.device)
        return keeper.finish(learner)
