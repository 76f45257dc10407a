"""Scores per example, from the predictions that runs keep: what tests are made of (R20)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, log

import numpy as np

from tunesweep.errors import StorageError
from tunesweep.report.rows import Row
from tunesweep.store import Store

Array = np.ndarray
Reader = Callable[[Row], Array | None]


@dataclass(frozen=True)
class Scale:
    """How scores per example, which have a plain mean, become the number that the table shows."""

    higher: bool
    shown: Callable[[float], float]
    mean: Callable[[float], float] = float  # and back


SCALES = {
    "accuracy": Scale(higher=True, shown=lambda mean: min(max(mean, 0.0), 1.0)),
    "perplexity": Scale(higher=False, shown=lambda mean: exp(min(mean, 700.0)), mean=log),  # more is no float
}


def reader(store: Store) -> Reader:
    """Return a function from a row to its scores [examples], in the order of the examples' ids.

    Right or wrong of accuracy, and of perplexity the loss in nats. None where a run keeps no predictions.
    """

    def read(row: Row) -> Array | None:
        columns = _columns(store, row)
        if columns is None:
            return None
        order = np.argsort(columns["id"], kind="stable")
        return of_metric(str(row["metric"]), columns)[order]

    return read


def _columns(store: Store, row: Row) -> dict[str, Array] | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = row["predictions"]
    wanted = {"accuracy": ("label", "prediction"), "perplexity": ("nll", "tokens")}.get(str(row["metric"]))
    if path is None or wanted is None or not (store.root / path).is_file():
        return None
    try:
        found = pq.read_table(store.root / path, columns=["id", *wanted])
    except (OSError, pa.ArrowException, KeyError):
        return None
    columns = {name: found[name].to_numpy(zero_copy_only=False) for name in found.column_names}
    return columns if {"id", *wanted} <= set(columns) else None


def all_columns(store: Store, row: Row) -> dict[str, Array]:
    """Return all columns of a run's predictions, in the order of the examples' ids, or say why not."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = store.root / str(row["predictions"] or "none")
    try:
        table = pq.read_table(path)
        order = np.argsort(table["id"].to_numpy(zero_copy_only=False), kind="stable")
    except (OSError, pa.ArrowException, KeyError) as error:
        raise StorageError(
            f"the predictions of run {row['run_id']} cannot be read ({error or path}): the same command with "
            "runtime.force=true makes them again"
        ) from None
    return {name: table[name].to_numpy(zero_copy_only=False)[order] for name in table.column_names}


def of_metric(metric: str, columns: dict[str, Array]) -> Array:
    """Return scores whose plain mean is the metric, or for perplexity its logarithm.

    The loss per token is a ratio of sums; each example stands for the ratio and its own residual from it
    (linearised: Cochran, Sampling Techniques, 1977, section 6.4), so that variances of means hold for it too.
    """
    if metric == "accuracy":
        return np.asarray(columns["label"] == columns["prediction"], float)
    nll, count = np.asarray(columns["nll"], float), np.asarray(columns["tokens"], float)
    loss = nll.sum() / count.sum()
    return np.asarray(loss + (nll - loss * count) / count.mean())
