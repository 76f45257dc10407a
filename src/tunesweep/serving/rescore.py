"""A run's test split scored again, from its artefact alone: the score and every prediction must come back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tunesweep import identity
from tunesweep.config import RunConfig
from tunesweep.data.module import DataModule
from tunesweep.device import choose_device
from tunesweep.errors import BadConfig, IntegrityError, StorageError
from tunesweep.integrity import LIMITS, RELOAD_LIMITS
from tunesweep.models import sources
from tunesweep.models.readouts import Readout
from tunesweep.models.tokenizer import load_tokenizer, tokenizer_fingerprint
from tunesweep.provenance import device_name
from tunesweep.record import RunRecord
from tunesweep.serving import loading
from tunesweep.silence import quiet_libraries
from tunesweep.store import Store
from tunesweep.tasks import build_task
from tunesweep.tasks.task import Scored, Task

OTHER = "run {} gives other results than recorded"
SAME = ("prediction", "label", "text", "reference")  # columns that are compared letter by letter


@dataclass(frozen=True)
class Again:
    """A second scoring beside the first one."""

    run_id: str
    metric: str
    n: int
    score: float
    recorded: float
    change: float  # the largest, over all examples, of a number that their predictions hold

    def sentence(self) -> str:
        """Return what was found in words."""
        return (
            f"ok: run {self.run_id}: {self.metric} {self.score:.4f} again, on {self.n:,} examples, "
            f"no example changed by more than {self.change:.2g}"
        )


def rescore(store: Store, record: RunRecord, device: str = "auto", folder: Path | None = None) -> Again:
    """Load a run's artefact (of a folder: an exported one) onto a fresh base, and compare all examples.

    Raises IntegrityError where the score or a prediction differs by more than rounding can explain.
    """
    config = loading.config_of(store, record, device)
    kept = folder or loading.artefact_folder(store, record)
    with quiet_libraries():
        task, scored = scored_again(store, config, kept)
    found = compared(store, record, task, scored)
    limit = tolerance(record, config)
    off = abs(found.score - found.recorded) / max(1.0, abs(found.recorded))
    if max(found.change, off) > limit:
        raise IntegrityError(
            f"{OTHER.format(record.run_id)}: {found.metric} {found.score:.4f}, not {found.recorded:.4f}, "
            f"examples differ by up to {found.change:.2g} (limit {limit:.0e}); the same command with "
            "runtime.force=true runs it again"
        )
    return found


def scored_again(store: Store, config: RunConfig, folder: Path | None) -> tuple[Task, Scored]:
    """Return the test split's score of what lies in a folder; without one, of the bare backbone."""
    return _score(config, lambda data: loading.network(config, data, store, folder))


def whole_scored(store: Store, config: RunConfig, folder: Path) -> tuple[Task, Scored]:
    """Return the test split's score of an exported whole model."""
    own = loading.from_folder(config, folder)
    return _score(own, lambda data: loading.exported(own, data, store, folder))


def _score(config: RunConfig, load: Callable[[DataModule], Readout]) -> tuple[Task, Scored]:
    data = whole_data(config)
    task = build_task(config, data)
    return task, task.judge(task.evaluate(load(data)), data.test_answers.open())


def whole_data(config: RunConfig) -> DataModule:
    """Return a point's data, after making sure that they are what the run was scored on."""
    cache, point = Path(config.runtime.cache), config.runtime.point
    tokenizer, known = None, ""
    if config.model.family != "vision":
        tokenizer = load_tokenizer(config.model, cache)
        known = tokenizer_fingerprint(tokenizer)
    identity.check_unchanged(config)
    if point.model_fingerprint:
        _check_base(config, point.model_fingerprint, cache)
    return DataModule(config, tokenizer, known)


def _check_base(config: RunConfig, wanted: str, cache: Path) -> None:
    if sources.fingerprint(config.model, cache) != wanted:
        raise BadConfig(
            f"model.source={config.model.source} holds other weights than run {config.runtime.point.run_id} "
            "was trained on: put the former ones back"
        )


def compared(store: Store, record: RunRecord, task: Task, scored: Scored) -> Again:
    """Return the score beside the recorded one, and the largest change of an example."""
    stored = stored_predictions(store, record)
    change = largest_change(stored, scored.columns, record.run_id)
    recorded = scored_or_refused(record)
    score = float(scored.metrics[task.metric])
    return Again(record.run_id, task.metric, int(scored.metrics["n"]), score, recorded, change)


def scored_or_refused(record: RunRecord) -> float:
    """Return the score of a record."""
    if record.main_metric is None:
        raise StorageError(f"the record of run {record.run_id} holds no score: run it again")
    return record.main_metric


def stored_predictions(store: Store, record: RunRecord) -> dict[str, list[Any]]:
    """Return the columns of a run's file of predictions."""
    import pyarrow.parquet as pq

    path = store.root / record.artefacts.get("predictions", "none")
    if not path.is_file():
        raise StorageError(f"the predictions of run {record.run_id} are gone: {path} does not exist")
    table = pq.read_table(path)
    return {name: table[name].to_pylist() for name in table.column_names}


def largest_change(stored: dict[str, list[Any]], now: dict[str, Any], run_id: str) -> float:
    """Return the largest change of a number; refuse other answers that no change of a number explains.

    A probability that moves across one half by rounding takes the prediction with it; so predictions are
    compared only where no probabilities stand beside them.
    """
    sure = [name for name in now if name.startswith("p:")]
    exact = [name for name in SAME if name in now and not (sure and name == "prediction")]
    for name in exact:
        odd = [i for i, (one, other) in enumerate(zip(stored[name], now[name], strict=True)) if one != other]
        if odd:
            raise IntegrityError(
                f"{OTHER.format(run_id)}: {len(odd)} of {len(stored[name])} values of '{name}' differ, "
                f"example {stored['id'][odd[0]]} first"
            )
    numbers = sure or [name for name in now if name not in (*SAME, "id")]
    return max((_change(stored[name], now[name]) for name in numbers), default=0.0)


def _change(one: Sequence[float], other: Any) -> float:
    """Return the largest difference, of large numbers relative to their size."""
    first, second = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    return float((np.abs(first - second) / np.maximum(1.0, np.abs(first))).max())


def tolerance(record: RunRecord, config: RunConfig) -> float:
    """Return how much a number may change: next to nothing on the device of the run, else rounding."""
    device = choose_device(config.runtime)
    same = record.provenance.get("device") == device_name(device)
    return RELOAD_LIMITS[device.type] if same else LIMITS[config.train.precision]
