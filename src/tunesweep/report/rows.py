"""Which runs a report is about: records of the store as flat rows."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path
from typing import Any

from tunesweep.errors import BadConfig, StorageError
from tunesweep.record import RunRecord
from tunesweep.report.fields import dig, flatten, number, numbers, one_line, surroundings, texts
from tunesweep.report.learned import learned, one_answer, outcome
from tunesweep.report.where import narrow
from tunesweep.search.trials import Selected, on_select, selected
from tunesweep.stats.proportion import wilson
from tunesweep.store import Store

NOT_RUN = "not run"
LISTED, SHOWN = 5, 60  # sweeps that a sentence names, and characters of each one's command
UNSHOWN = (TypeError, ValueError, AttributeError, KeyError)  # what a record raises that no row can be made of


@dataclass(frozen=True)
class Scope:
    """What to report on: the last sweep, a named one or everything; `where` is KEY=VALUE,... of a row."""

    sweep: str | None = None
    all: bool = False
    where: tuple[str, ...] = ()

    def words(self, name: str, store: Store) -> list[str]:
        """Return the options with which a command asks about the same rows."""
        what = ["--all"] if self.all else ["--sweep", name]
        where = [word for each in self.where for word in ("--where", each)]
        return [*what, *where, *([] if str(store.root) == "multirun" else ["--store", str(store.root)])]


@dataclass(frozen=True)
class Row:
    """One run as a table sees it."""

    values: dict[str, Any]  # column -> value; what was not measured is None
    settings: dict[str, Any]  # the config, flat: dotted key -> value
    lr_by_hand: bool
    measured: tuple[str, ...] | None  # what rows of one block agree in; None: no number to compare
    tokens: tuple[str, ...] | None  # data, tokenizer and ids: equal where encodings collapse
    warnings: tuple[str, ...]
    surroundings: dict[str, str] = field(default_factory=dict)
    runs: tuple[Row, ...] = ()  # of a row that stands for several, by `seeds.merge`
    selected: Selected | None = None  # of a run, how it did on the select split

    @classmethod
    def from_record(cls, record: RunRecord) -> Row:
        """Flatten a record."""
        source = vars(record)
        said, counted = texts(source), numbers(source)
        return cls(
            values=said | counted | _share(counted) | _training(counted, record) | _score(record, said),
            settings=flatten(record.config),
            lr_by_hand=record.runtime.get("lr_by_hand") is True,
            measured=_measured(record),
            tokens=_tokens(record),
            warnings=tuple(one_line(warning) for warning in record.warnings),
            surroundings=surroundings(source),
            selected=selected(record),
        )

    def __getitem__(self, key: str) -> Any:
        """Return a column, or else a setting of the config or a surrounding; None where it has none."""
        if key in self.values:
            return self.values[key]
        return self.settings[key] if key in self.settings else self.surroundings.get(key)

    @property
    def deterministic(self) -> bool:
        """Whether another seed would give the same: nothing is trained, and no example is drawn."""
        return self.settings.get("method.trained") is False and not self.settings.get("method.shots.k")

    @property
    def raw(self) -> dict[str, Any]:
        """Everything as plain values: columns first, then the config."""
        values = {key: value for key, value in self.values.items() if key != "interval"}
        return values | {key: value for key, value in self.settings.items() if key not in self.values}


def _share(numbers: Mapping[str, Any]) -> dict[str, float | None]:
    """Return what is trained in percent of all parameters, and the adapter in percent of its base."""
    trainable, total, adapter = numbers["trainable"], numbers["total"], numbers["adapter"]
    known = trainable is not None and total
    base = total - adapter if known and adapter is not None else 0
    return {
        "share": 100 * trainable / total if known else None,
        "base_share": 100 * adapter / base if base > (adapter or 0) else None,
    }


def _training(numbers: Mapping[str, Any], record: RunRecord) -> dict[str, float | None]:
    """Return the minutes of training in all, and how many steps an optimiser took."""
    epochs, minutes = number(record.cost.get("epochs")), numbers["minutes_per_epoch"]
    size, examples = number(dig(record.config, "train.batch_size")), numbers["train_rows"]
    of_rows = dig(record.config, "dataset.task") != "language_modeling"  # which learns from blocks
    return {
        "training_minutes": epochs * minutes if epochs and minutes is not None else None,
        "steps": int(epochs * ceil(examples / size)) if epochs and size and examples and of_rows else None,
    }


def _score(record: RunRecord, texts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the score that the protocol names, its interval over examples, and the score before training."""
    split, metric = texts["split"], texts["metric"]
    score, n = (number(dig(record.metrics, f"{split}.{key}")) for key in (metric, "n"))
    low, high = _interval(dig(record.metrics, f"{split}.interval"))
    if low is None and metric == "accuracy" and score is not None and n:
        low, high = wilson(round(score * n), n)
    return {
        **{"score": score, "n": n, "low": low, "high": high},
        "interval": None if low is None else (low, high),
        "before": number(dig(record.metrics, f"before.{metric}")),
        "learned": learned(record),
        "one_answer": one_answer(record),
        "outcome": outcome(record),
    }


def _interval(value: object) -> tuple[float | None, float | None]:
    """Return both ends of an interval, or neither."""
    ends = [number(end) for end in value] if isinstance(value, list) else []
    return (ends[0], ends[1]) if len(ends) == 2 and None not in ends else (None, None)


def _measured(record: RunRecord) -> tuple[str, ...] | None:
    """Return data, scored examples, labels and protocol (R15), or None where one of them is unknown."""
    data, protocol = record.data, record.metrics.get("protocol")
    parts = (data.get("fingerprint"), data.get("scored_ids"), protocol)
    if not all(parts) or data.get("labels") is None:  # none at all, as of running text, is an answer
        return None
    labels = sorted(str(label) for label in data["labels"])
    return str(parts[0]), str(parts[1]), json.dumps(labels), json.dumps(protocol, sort_keys=True)


def _tokens(record: RunRecord) -> tuple[str, ...] | None:
    encoding = record.encoding
    parts = (
        record.data.get("fingerprint"),
        encoding.get("tokenizer_fingerprint"),
        encoding.get("ids_fingerprint"),
    )
    return tuple(str(part) for part in parts) if all(parts) else None


def select(store: Store, scope: Scope) -> tuple[str, list[Row], dict[str, Any]]:
    """Return the name of a scope, its rows in order, and the file of its sweep, if it is one."""
    if scope.all and scope.sweep:
        raise BadConfig(f"--all and --sweep {scope.sweep} exclude each other: give one of them")
    if scope.all:
        rows = sorted(_rows(store, store.each()), key=_by_kind)
        return "all", narrow(rows, scope.where), {}
    sweep_id, data = find_sweep(store, scope.sweep)
    points = data.get("points") or {}
    records = [store.get(name) or _absent(sweep_id, name, points) for name in data["members"]]
    rows = _surrounded(_rows(store, records))
    for row in rows:
        labels = (points.get(row["run_id"]) or {}).get("labels") or ()
        row.values["label"] = ", ".join(map(str, labels)) or None
        if data.get("search"):
            row.values["on_select"] = on_select(row["run_id"], store)
    return sweep_id, narrow(rows, scope.where), data


def _rows(store: Store, records: Iterable[RunRecord]) -> list[Row]:
    """Return the records as rows; one that no row can be made of is named among the store's problems."""
    rows = []
    for record in records:
        try:
            rows.append(Row.from_record(record))
        except UNSHOWN as error:
            store.problems.append(f"the record of run {record.run_id} cannot be shown: {error}")
    return rows


def _surrounded(rows: list[Row]) -> list[Row]:
    """Let rows of a sweep that have not begun, and know no device, be where the others are, if these agree.

    So a row of several seeds stays one row while some of them are still to run.
    """
    known = [row.surroundings for row in rows if "device" in row.surroundings]
    if not known or any(found != known[0] for found in known):
        return rows
    return [row if "device" in row.surroundings else replace(row, surroundings=known[0]) for row in rows]


def program() -> str:
    """Return what one types for `tunesweep` here: its path, where the environment is not activated."""
    beside = Path(sys.executable).parent / "tunesweep"
    return os.path.relpath(beside) if not shutil.which("tunesweep") and beside.exists() else "tunesweep"


def find_sweep(store: Store, wanted: str | None = None) -> tuple[str, dict[str, Any]]:
    """Return the id and the file of a sweep: the one whose id begins so, or the last."""
    known = store.sweeps()
    if store.problems and (not known or wanted in set(store.names("sweeps")) - set(known)):
        raise StorageError("; ".join(store.problems))
    if not known:
        raise StorageError(
            f"{store.root} holds no sweep yet: run one, or name another store with --store PATH"
        )
    begun = [name for name in known if wanted and name.startswith(wanted)]
    sweep_id = begun[0] if len(begun) == 1 else wanted or known[-1]
    if sweep_id not in known:
        latest = ", ".join(_told(store, name) for name in reversed(known[-LISTED:]))
        raise StorageError(f"sweep {sweep_id} is not in {store.root}: choose one, such as {latest}")
    return sweep_id, store.get_sweep(sweep_id) or {"members": []}


def _told(store: Store, sweep_id: str) -> str:
    """Return which sweep this is, in a reader's words."""
    data = store.get_sweep(sweep_id) or {}
    command = one_line(" ".join(map(str, data.get("command") or [])))
    return f"{sweep_id} ({str(data.get('started') or 'unknown')[:16]}: {command[:SHOWN] or 'no words'})"


def _absent(sweep_id: str, run_id: str, points: Mapping[str, Any]) -> RunRecord:
    """Stand in for a member that has left no record, so that it is seen to be missing."""
    point = points.get(run_id) or {}
    config = dict(point.get("config") or {})
    if dig(config, "runtime.point.uses_lora") is False:
        config.pop("lora", None)
    return RunRecord(run_id, NOT_RUN, sweep_id, point.get("name", run_id), config)


def _by_kind(row: Row) -> tuple[Any, ...]:
    texts = tuple(row[key] or "" for key in ("dataset", "model", "method"))
    return (*texts, row["r"] or 0, row["alpha"] or 0, row["lr"] or 0, row["name"], row["run_id"])
