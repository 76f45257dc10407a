"""The stages of a point, in the order in which `point.py` names them."""

from __future__ import annotations

import shutil
import time
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from pytorch_lightning import seed_everything

from tunesweep import features, fresh, headroom, identity, integrity, predictions, training
from tunesweep.attempt import failure_class
from tunesweep.checkpoint import NOTES, Notes, Place, Unusable
from tunesweep.clock import Clock, timed
from tunesweep.config import WORKER, RunConfig
from tunesweep.data.location import content_digest
from tunesweep.data.module import Answers, DataModule
from tunesweep.data.quality import warnings
from tunesweep.device import choose_device
from tunesweep.estimate.point import prediction
from tunesweep.hardware import warning as hardware_warning
from tunesweep.memory import bound_kernel_caches, keep_freed_memory, set_aside_imports
from tunesweep.methods import artefact, hooks
from tunesweep.methods.attach import attach, parameter_counts
from tunesweep.models.backbone import build_network
from tunesweep.models.readouts import Readout
from tunesweep.models.start import start_from
from tunesweep.models.tokenizer import load_tokenizer, tokenizer_fingerprint
from tunesweep.parallel import group
from tunesweep.provenance import provenance
from tunesweep.record import RunRecord
from tunesweep.scoring import Ask, Seen, score
from tunesweep.store import Store
from tunesweep.tasks import build_task
from tunesweep.tasks.task import Scored, Task

# What failed so goes on from its checkpoint; after any other failure a run begins anew. A full disk is not
# among them: the folder's space may be what the record of the failure needs.
RESUMED = frozenset({"interrupted", "timeout", "out_of_memory"})


class Workplace:
    """What the stages hand to one another, and a folder that is gone afterwards.

    Of a run that was stopped, the folder stays, with a checkpoint that the next attempt goes on from.
    """

    kept: Notes | None  # what an earlier attempt left to go on from
    device: torch.device
    data: DataModule
    task: Task
    network: Readout
    base: dict[str, str]  # digests of the weights as loaded
    untrained: dict[str, torch.Tensor]  # what will be trained, as it was
    scored: Scored  # of the test split
    answers: Answers
    sample: Seen  # what the trained network says of the first examples
    off: Scored | None  # what is said of the test split with the adapter switched off

    def __init__(self, config: RunConfig, store: Store, record: RunRecord) -> None:
        self.config, self.store, self.record = config, store, record
        self.run_id = config.runtime.point.run_id
        self.folder = store.path("work", self.run_id)
        self.artefact = self.folder / "artefact"
        self.place, self.kept, self.reached_training = Place(self.folder), None, False
        self.clock = Clock()
        self.began = time.perf_counter()
        self.group = ""  # of the runs that are trained together with this one, if any
        self.ask: Ask = score
        self.hashed: integrity.Hashed = integrity.hash_of

    def __enter__(self) -> Workplace:
        self.take_up()
        return self

    def take_up(self) -> None:
        """Find out what an attempt before this one has left, and remove what is of no use."""
        try:
            self.kept = self.place.notes(self.run_id)
        except Unusable as problem:
            self.record.warnings.append(str(problem))
        runtime = self.config.runtime
        if self.kept and runtime.force and self.kept.command != runtime.point.command:
            self.kept = None
        if self.kept and self.kept.group != self.group:  # what a group took is not what this run takes
            self.kept = None
        self.place.tidy(self.kept)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if error is None or not self._resumes(error) or not (self.folder / NOTES).exists():
            self.place.clear()
        self.note_cost()

    def note_cost(self) -> None:
        """Add to the record how long the point took."""
        earlier = self.kept.minutes if self.kept else 0.0
        self.record.cost["minutes"] = earlier + (time.perf_counter() - self.began) / 60
        self.record.cost["seconds"] = self.clock.seconds

    def _resumes(self, error: BaseException) -> bool:
        """Whether the next attempt goes on: also after whatever kept this one from taking up a checkpoint."""
        return failure_class(error) in RESUMED or not self.reached_training

    def score(self, network: Readout) -> Scored:
        """Score the test split, fewer examples at a time where memory runs out."""
        return headroom.within_memory(
            partial(self.task.evaluate, network, self.ask), partial(headroom.halve_eval_batch, self)
        )

    def first_network(self) -> Readout:
        """Return the network that is trained; random generators are left as its new weights leave them."""
        return self.new_network()

    def new_network(self, config: RunConfig | None = None) -> Readout:
        """Return the network that the point begins with: weights loaded, nothing attached."""
        config = config or self.config
        network = build_network(config, self.data, self.device)
        if config.model.init_from:
            notes = start_from(network, config, self.store, self.data.names)
            self.record.warnings += [note for note in notes if note not in self.record.warnings]
        return network.to(self.device)


@timed
def prepare(work: Workplace) -> None:
    """Choose the device, and say where the numbers come from."""
    bound_kernel_caches()
    keep_freed_memory()
    point = work.config.runtime.point
    if point.executor == WORKER:
        set_aside_imports()
    work.device = choose_device(work.config.runtime)
    work.record.provenance = provenance(work.device, point.executor)
    work.record.provenance["model_fingerprint"] = point.model_fingerprint
    work.record.warnings += hardware_warning(work.config)


@timed
def load_data(work: Workplace) -> None:
    """Read, split and tokenise."""
    config, tokenizer, known = work.config, None, ""
    if config.model.family != "vision":
        tokenizer = load_tokenizer(config.model, Path(config.runtime.cache))
        known = tokenizer_fingerprint(tokenizer)
    identity.check_unchanged(config)
    work.data = DataModule(config, tokenizer, known)
    work.task = build_task(config, work.data)
    work.record.data = work.data.description() | {"fingerprint": config.runtime.point.data_fingerprint}
    work.record.encoding = work.data.encoding_description()
    work.record.warnings += warnings(work.record.data, work.record.encoding, config.dataset)
    work.record.cost["predicted"] = prediction(config, work.data)


@timed
def load_network(work: Workplace) -> None:
    """Seed everything, load the backbone, remember what it was, and attach the method (R17)."""
    seed_everything(work.config.seeds.init, verbose=False)
    work.network = work.first_network()
    with work.clock.part("hashing"):
        work.base = integrity.digests(work.network, work.hashed)
    attach(work.network, work.config)
    work.untrained = artefact.trained_state(work.network)
    work.record.parameters = parameter_counts(work.network, work.config)


@timed
def train(work: Workplace) -> None:
    """Fit, then go back to the epoch that was best on the select split."""
    if not work.config.method.trained:
        return
    work.reached_training = True
    with work.clock.part("features"):
        known = features.learn_from_features(work)
    learn = training.learn if work.config.runtime.strategy == "single" else group.learn
    notes = learn(work)
    seconds, epochs = notes.watch["seconds"], notes.watch["epochs"]
    work.clock.add("steps", seconds)
    work.clock.add("select", notes.watch["scoring"])
    note_training(work.record, notes.history, notes.best["epoch"])
    seconds += known.seconds["train"] if known else 0.0
    work.record.cost |= notes.memory | {
        "minutes_per_epoch": seconds / 60 / epochs,
        "tokens_per_s": sum(work.data.lengths("train")) * epochs / seconds,
        "epochs": epochs,
    }
    if known is not None:
        features.charge(work.record.cost, known)


def note_training(record: RunRecord, history: list[dict[str, Any]], best: int) -> None:
    """Add to a record what is known of its epochs, and what the best one, counted from 1, had on select."""
    record.history = history
    record.metrics["select"] = history[best - 1]


@timed
def evaluate(work: Workplace) -> None:
    """Score the test split; its labels are read here, once."""
    scored = work.score(work.network)
    work.answers = work.data.test_answers.open()
    work.scored = work.task.judge(scored, work.answers)
    work.record.metrics["test"] = work.scored.metrics
    work.record.metrics["protocol"] = work.task.protocol() | {"split": "test", "chosen_on": "select"}


@timed
def check_network(work: Workplace) -> None:
    """Check what training did and did not change, and what the scores depend on (R10, R11, R16)."""
    state = artefact.trained_state(work.network)
    work.record.integrity = {
        "frozen_tensors_unchanged": integrity.check_base(work.base, work.network, work.hashed),
        **integrity.check_trained(work.untrained, state, work.config),
        "four_bit_layers": integrity.check_four_bit(work.network, work.config),
        **integrity.check_batch_size(work.network, work.data, work.config, work.task, work.ask),
    }
    integrity.check_labels(work.scored.metrics.get("confusion"), work.data.names)
    hooks.settle(work.network, work.config)
    work.sample = fresh.look_again(work.network, work.data, work.config, work.task)
    work.off = fresh.switched_off(work.network, work.untrained, work.config, work.task)


@timed
def save(work: Workplace) -> None:
    """Write the artefact beside the store, and let the trained network go."""
    if work.config.method.trained:
        artefact.save(work.network, work.config, work.artefact)
        work.record.cost["disk_bytes"] = artefact.size(work.artefact)
    del work.network


@timed
def check_artefact(work: Workplace) -> None:
    """Score the bare backbone; load the artefact onto it and score again (R9, R19); merge it (R13)."""
    if not work.config.method.trained:
        return
    seed_everything(work.config.seeds.init, verbose=False)
    network = work.new_network()  # the head too is what the point began with
    before = headroom.within_memory(
        partial(fresh.before, network, work.config, work.task), partial(headroom.halve_eval_batch, work)
    )
    work.record.metrics |= fresh.comparison(work.task, before, work.scored, work.answers, work.config)
    if work.off is not None:
        work.record.integrity["off_equals_base"] = integrity.check_off(work.off, before)
    fresh.forget_head(network, work.config)
    artefact.load(network, work.config, work.artefact)
    found = fresh.look_again(network.to(work.device), work.data, work.config, work.task)
    saved, loaded = map(work.task.probabilities, (work.sample, found))
    work.record.integrity["reload_change"] = integrity.check_reload(saved, loaded, work.device)
    if work.config.method.merges:
        work.record.integrity["merge"] = fresh.merge(work, network)


@timed
def keep(work: Workplace) -> None:
    """Put what is to stay into the store, and note its digests for `tunesweep verify`."""
    path = work.store.path("predictions", work.run_id)
    predictions.write(path, work.data.splits.test.ids, work.scored.columns)
    work.record.artefacts["predictions"] = work.store.relative(path)
    if keeps_weights(work.config):
        folder = work.store.path("adapters", work.run_id)
        shutil.rmtree(folder, ignore_errors=True)  # of the same run, forced again
        folder.parent.mkdir(parents=True, exist_ok=True)
        work.artefact.rename(folder)
        work.record.artefacts["adapter"] = work.store.relative(folder)
    files = [work.store.root / path for path in work.record.artefacts.values()]
    found = [file for path in files for file in ([path] if path.is_file() else sorted(path.rglob("*")))]
    work.record.integrity["files"] = {work.store.relative(f): content_digest(f) for f in found if f.is_file()}


def keeps_weights(config: RunConfig) -> bool:
    """Whether trained weights stay: by default those of methods that leave most of the base alone."""
    return config.keeps_weights
