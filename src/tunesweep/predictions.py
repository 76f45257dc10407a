"""Predictions per example, as parquet: what paired tests and disagreements are made of (R20)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tunesweep import metrics
from tunesweep.errors import StorageError


def write(
    path: Path, ids: Sequence[str], labels: np.ndarray, logits: np.ndarray, names: Sequence[str]
) -> None:
    """Write one row per scored example: id, label, prediction, loss and a probability per class."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    probability = metrics.probabilities(logits)
    columns = {
        "id": list(ids),
        "label": [names[i] for i in labels],
        "prediction": [names[i] for i in logits.argmax(axis=1)],
        "loss": metrics.losses(logits, labels),
    }
    columns |= {f"p:{name}": probability[:, i] for i, name in enumerate(names)}
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), part)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StorageError(f"predictions cannot be written to {path}: {error.strerror or error}") from error
