"""Examples that rows disagree on, from the predictions that runs keep."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tunesweep.record import RunRecord
from tunesweep.report.html.texts import Library
from tunesweep.report.rows import Row
from tunesweep.store import Store

MOST = 50  # examples
ROWS = 60  # that are asked: as many as are compared
Array = np.ndarray


@dataclass(frozen=True)
class Answer:
    """What a row says of an example: of several seeds what most say, with how many do."""

    text: str
    right: bool
    share: str = ""


@dataclass(frozen=True)
class Example:
    """An example, its label, and an answer for each row."""

    id: str
    label: str
    answers: tuple[Answer, ...]
    text: str = ""


@dataclass(frozen=True)
class Dispute:
    """The most disputed examples, and the places of the rows that answer."""

    rows: tuple[int, ...]
    examples: tuple[Example, ...]
    differing: int  # examples on which not all rows agree
    total: int
    untold: str = ""  # why no texts are shown

    @property
    def told(self) -> bool:
        """Whether any example has its text."""
        return any(example.text for example in self.examples)

    def with_texts(self, library: Library, record: RunRecord | None) -> Dispute:
        """Return the same with the texts of its examples, as a run of them read these."""
        texts, why = library.texts(record, [example.id for example in self.examples])
        told = tuple(replace(example, text=texts.get(example.id, "")) for example in self.examples)
        return replace(self, examples=told, untold=why)


def dispute(store: Store, rows: list[Row]) -> Dispute | None:
    """Return the examples on which rows' answers are most divided (entropy); nothing where no two answer."""
    read = {
        place: [_predictions(store, run) for run in row.runs or (row,)]
        for place, row in enumerate(rows[:ROWS])
    }
    first = next((each for runs in read.values() for each in runs if each is not None), None)
    if first is None:
        return None
    ids, labels, _ = first
    # Runs with other examples than the first, as a file that was cut short has, are not asked.
    said = {
        place: np.stack(same)
        for place, runs in read.items()
        if (same := [run[2] for run in runs if run is not None and np.array_equal(run[0], ids)])
    }
    if len(said) < 2:
        return None
    names, codes = _codes(said)
    votes = np.stack([_counts(each, len(names)) for each in codes])  # [rows, examples, names]
    entropy = _entropy(_counts(votes.argmax(axis=2), len(names)))
    order = [int(each) for each in np.argsort(-entropy, kind="stable")[:MOST] if entropy[each] > 0]
    examples = tuple(_example(str(ids[at]), str(labels[at]), votes[:, at], names) for at in order)
    return Dispute(tuple(said), examples, int((entropy > 0).sum()), len(ids))


def _codes(said: dict[int, Array]) -> tuple[list[str], list[Array]]:
    """Return all answers that were given, and each row's as their numbers [seeds, examples]."""
    names, codes = np.unique(np.concatenate([each.ravel() for each in said.values()]), return_inverse=True)
    ends = np.cumsum([each.size for each in said.values()])[:-1]
    parts = np.split(codes.ravel(), ends)
    return list(map(str, names)), [
        part.reshape(each.shape) for part, each in zip(parts, said.values(), strict=True)
    ]


def _counts(codes: Array, names: int) -> Array:
    """Return how often each name is said of each example [examples, names], over the first axis."""
    return np.stack([(codes == name).sum(axis=0) for name in range(names)], axis=1)


def _entropy(counts: Array) -> Array:
    share = counts / counts.sum(axis=1, keepdims=True)
    return np.asarray(-(share * np.log2(np.where(share > 0, share, 1))).sum(axis=1))


def _example(name: str, label: str, votes: Array, names: list[str]) -> Example:
    answers = []
    for each in votes:
        most, times, runs = int(each.argmax()), int(each.max()), int(each.sum())
        answers.append(Answer(names[most], names[most] == label, f"{times}/{runs}" if times < runs else ""))
    return Example(name, label, tuple(answers))


def _predictions(store: Store, run: Row) -> tuple[Array, Array, Array] | None:
    """Return ids, labels and predictions in the order of ids, or nothing where a run keeps none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path, wanted = run["predictions"], ["id", "label", "prediction"]
    if path is None or run["metric"] != "accuracy" or not (store.root / path).is_file():
        return None
    try:
        table = pq.read_table(store.root / path, columns=wanted)
    except (OSError, pa.ArrowException, KeyError):
        return None
    if table.num_columns < len(wanted):
        return None
    ids, labels, said = (np.array([str(value) for value in table[name].to_pylist()]) for name in wanted)
    order = np.argsort(ids, kind="stable")
    return ids[order], labels[order], said[order]
