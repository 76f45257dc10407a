"""Cross-validation: the test predictions of a sweep over `dataset.fold` as one file."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tunesweep.errors import BadConfig, BadData
from tunesweep.record import RunRecord
from tunesweep.report.fields import flatten
from tunesweep.report.rows import Scope, select
from tunesweep.serving.submission import Frame
from tunesweep.stats.proportion import wilson
from tunesweep.store import Store

FOLD, FOLDS = "dataset.fold", "dataset.folds"


@dataclass(frozen=True)
class OutOfFold:
    """One row an example, each predicted by the run that did not learn from it."""

    frame: Frame  # id, fold, and the columns of the predictions
    accuracy: float
    interval: tuple[float, float]
    spread: float  # standard deviation of the folds' own accuracies

    def score(self) -> dict[str, float]:
        """Return the score in figures."""
        low, high = self.interval
        sizes = {"n": len(self.frame["id"]), "folds": len(set(self.frame["fold"]))}
        return {"accuracy": self.accuracy, "low": low, "high": high, "spread_of_folds": self.spread, **sizes}

    def sentence(self) -> str:
        """Return the score in words."""
        (low, high), n = self.interval, len(self.frame["id"])
        folds = len(set(self.frame["fold"]))
        return (
            f"out-of-fold accuracy {self.accuracy:.3f} (95 % interval {low:.3f} to {high:.3f}, Wilson, "
            f"n = {n:,}); standard deviation over {folds} folds {self.spread:.3f}"
        )


def out_of_fold(store: Store, sweep: str | None, where: Sequence[str] = ()) -> OutOfFold:
    """Join the predictions of the folds of a sweep; refuse folds that are missing, doubled or overlap."""
    records = _records(store, Scope(sweep, where=tuple(where)))
    _check_alike(records)
    parts = [_predictions(store, record) for record in records]
    frame: Frame = {name: [value for part in parts for value in part[name]] for name in parts[0]}
    _check_ids(frame)
    right = [one == other for one, other in zip(frame["label"], frame["prediction"], strict=True)]
    interval = wilson(sum(right), len(right))
    return OutOfFold(frame, sum(right) / len(right), interval, statistics.stdev(map(_accuracy, parts)))


def _records(store: Store, scope: Scope) -> list[RunRecord]:
    """Return one finished run per fold, in the order of the folds."""
    name, rows, _ = select(store, scope)
    failed = [row["run_id"] for row in rows if row["status"] != "succeeded"]
    if failed:
        raise BadConfig(
            f"run {failed[0]} of sweep {name} has no predictions: the same command, without "
            "runtime.early_exit, runs it again"
        )
    records = [record for row in rows if (record := store.get(row["run_id"]))]
    plain = [record.run_id for record in records if not record.config["dataset"].get("folds")]
    if plain or not records:
        raise BadConfig(
            f"sweep {name} is no cross-validation: sweep dataset.folds=5 dataset.fold=0,1,2,3,4, or name "
            "such a sweep"
        )
    return sorted(records, key=lambda record: int(record.config["dataset"]["fold"]))


def _check_alike(records: list[RunRecord]) -> None:
    """Refuse runs that differ in more than their fold, and folds that are missing."""
    settings = [flatten(record.config) for record in records]
    names = sorted({name for setting in settings for name in setting} - {FOLD})
    if odd := [name for name in names if len({str(setting.get(name)) for setting in settings}) > 1]:
        values = sorted({str(setting.get(odd[0])) for setting in settings})
        raise BadConfig(
            f"the runs differ in {odd[0]} ({', '.join(values)}), not in their fold alone: choose by "
            f"--where {odd[0]}={values[0]}"
        )
    if len({record.data.get("fingerprint") for record in records}) > 1:
        raise BadData("the runs were made of different data: run the sweep again")
    wanted, found = set(range(int(settings[0][FOLDS]))), [int(setting[FOLD]) for setting in settings]
    limit = settings[0].get("dataset.limit.test")
    if limit and any(record.data.get("rows", {}).get("test", 0) >= limit for record in records):
        raise BadConfig(
            f"dataset.limit.test={limit} left rows of every fold out, so the joined predictions would have "
            "gaps: run the sweep with dataset.limit.test=null"
        )
    if missing := sorted(wanted - set(found)):
        raise BadConfig(
            f"dataset.fold={missing[0]} of {FOLDS}={len(wanted)} is missing: sweep "
            f"dataset.fold={','.join(map(str, sorted(wanted)))}"
        )
    if len(found) > len(wanted):
        raise BadConfig(f"a fold has several runs ({len(found)} runs of {len(wanted)} folds): use --where")


def _predictions(store: Store, record: RunRecord) -> Frame:
    import pyarrow.parquet as pq

    path = store.root / record.artefacts.get("predictions", "none")
    if not path.is_file():
        raise BadData(
            f"the predictions of run {record.run_id} are gone: the same command with runtime.force=true "
            "makes them again"
        )
    table = pq.read_table(path)
    if not {"id", "label", "prediction"} <= set(table.column_names):
        has = ", ".join(table.column_names)
        raise BadConfig(
            f"the predictions of run {record.run_id} are no classes ({has}): only those are joined"
        )
    columns: Frame = {name: table[name].to_pylist() for name in table.column_names}
    return {"id": columns.pop("id"), "fold": [record.config["dataset"]["fold"]] * table.num_rows} | columns


def _check_ids(frame: Frame) -> None:
    twice = [name for name, count in Counter(frame["id"]).items() if count > 1]
    if twice:
        folds = [fold for name, fold in zip(frame["id"], frame["fold"], strict=True) if name == twice[0]]
        raise BadData(
            f"{len(twice)} examples were scored in more than one fold ({twice[0]} in folds "
            f"{' and '.join(map(str, folds))}): the folds must be cut with one seeds.split"
        )


def _accuracy(part: Frame) -> float:
    right = [bool(one == other) for one, other in zip(part["label"], part["prediction"], strict=True)]
    return sum(right) / len(right)
