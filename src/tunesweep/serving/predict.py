"""Predictions for new, unlabelled examples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tunesweep.config import RunConfig
from tunesweep.errors import BadConfig
from tunesweep.models.readouts import Readout
from tunesweep.scoring import score
from tunesweep.serving import loading
from tunesweep.serving.examples import NewExamples, ids, read_new
from tunesweep.serving.submission import Column, Frame, chosen
from tunesweep.silence import quiet_libraries
from tunesweep.store import Store
from tunesweep.tasks import build_task
from tunesweep.tasks.classification import Classification
from tunesweep.tasks.task import Task
from tunesweep.tasks.written import UNREADABLE, Instruction, WrittenClasses, class_words, read_class


def predict(
    store: Store,
    run_id: str,
    path: Path,
    *,
    columns: list[Column] | None = None,
    id_column: str | None = None,
    device: str = "auto",
) -> Frame:
    """Return what a run says of the rows of a file, in their order, in the columns that are asked for."""
    record = loading.finished(store, run_id)
    config = loading.config_of(store, record, device)
    if config.dataset.task == "language_modeling":
        raise BadConfig(
            f"run {run_id} models running text, and a table of examples has none: give a run of "
            "dataset.task=classification or instruction"
        )
    folder = loading.artefact_folder(store, record)
    inputs, table = read_new(path, config.dataset)
    names = ids(table, path, len(inputs), id_column)
    with quiet_libraries():
        data = NewExamples(config, inputs, loading.labels(record)).read()
        network = loading.network(config, data, store, folder)
        said = answers(config, data, network)
    given = {f"file:{name}": list(values) for name, values in table.items()} if columns else {}
    return chosen({"id": names} | said | given, columns)


def answers(config: RunConfig, data: NewExamples, network: Readout) -> Frame:
    """Return `prediction`, and `p:CLASS` for each class or the `text` that was written."""
    task = build_task(config, data)
    return ANSWERS[type(task)](task, network, data)


def _classes(task: Task, network: Readout, data: NewExamples) -> Frame:
    seen = score(network, data.test_dataloader(), task.config.train.precision, task.look)
    probability = task.probabilities(seen)
    found = _named(task.config, [data.names[i] for i in probability.argmax(1)])
    return found | {f"p:{name}": probability[:, i].tolist() for i, name in enumerate(data.names)}


def _read(task: Task, network: Readout, data: NewExamples) -> Frame:
    assert isinstance(task, WrittenClasses)
    texts, words = task.texts(network), class_words(task.config, data.names)
    numbers = [read_class(text, words) for text in texts]
    found = _named(task.config, [data.names[i] if i >= 0 else UNREADABLE for i in numbers])
    return found | {"text": texts}


def _written(task: Task, network: Readout, _: NewExamples) -> Frame:
    assert isinstance(task, Instruction)
    return {"prediction": task.texts(network)}


ANSWERS: dict[type[Task], Callable[[Any, Readout, NewExamples], Frame]] = {
    Classification: _classes,
    WrittenClasses: _read,
    Instruction: _written,
}


def _named(config: RunConfig, predictions: list[str]) -> Frame:
    """Return classes by name, and as the files of the data set write them where that is one value each."""
    values = {name: value for value, name in config.dataset.label_names.items() if name}
    unique = len(values) == sum(map(bool, config.dataset.label_names.values()))
    found: Frame = {"prediction": predictions}
    if values and unique:
        found["value"] = [values.get(name, name) for name in predictions]
    return found
