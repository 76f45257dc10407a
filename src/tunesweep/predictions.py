"""Predictions per example, as parquet: what paired tests and disagreements are made of (R20)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesweep.errors import StorageError


def write(path: Path, ids: Sequence[str], columns: Mapping[str, Any]) -> None:
    """Write one row per scored example: its id, and what its task says of it.

    Of a classifier: label, prediction, loss and a probability per class (`p:NAME`). Of windows of a text,
    which are no rows of the data, the ids are their numbers.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    n = len(next(iter(columns.values())))
    names = list(ids) if len(ids) == n else [f"window-{number}" for number in range(n)]
    part = path.with_suffix(".part")  # whoever writes holds the run: the next one writes over it
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"id": names, **columns}), part)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StorageError(f"predictions cannot be written to {path}: {error.strerror or error}") from error
