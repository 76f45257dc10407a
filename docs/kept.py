"""What docs/results keeps of a finished sweep: a store of its records, from which its table is made again.

Nothing of a data set is kept: of each example, whether it was answered right, or its loss, and no text; of
where files lay, their names alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tunesweep.record import RunRecord
from tunesweep.store import Store

RESULTS = Path(__file__).parent / "results"
LOSSES = {"nll", "tokens"}  # of perplexity
PATH = re.compile(r"(?<![\w./:])/[^\s'\",:]+")


def take(store: Store, sweep_id: str, folder: Path) -> Store:
    """Copy a sweep and its runs into a folder, in place of the sweep that was there."""
    data = store.get_sweep(sweep_id) or {"members": []}
    kept = Store(folder)
    for kind in ("records", "predictions", "sweeps"):
        for old in (folder / kind).glob("*"):
            old.unlink()
    for record in filter(None, map(store.get, data["members"])):
        kept.put(_nameless(record))
        if path := record.artefacts.get("predictions"):
            _outcomes(store.root / path, folder / path)
    points = {name: {**point, "config": {}} for name, point in (data.get("points") or {}).items()}
    kept.put_sweep(sweep_id, {**data, "points": points, "command": without_places(data["command"])})
    return kept


def without_places(words: list[str]) -> list[str]:
    """Return a command without what says where it ran; files are their names alone."""
    return _names_alone([word for word in words if not word.startswith(("runtime.", "dataset.path"))])  # type: ignore[no-any-return]


def _nameless(record: RunRecord) -> RunRecord:
    found = json.loads(record.to_json())
    found["integrity"].pop("files", None)  # digests of files that are not kept as they were
    found["artefacts"].pop("adapter", None)
    (found["failure"] or {}).pop("log", None)  # may quote data
    return RunRecord.from_json(json.dumps(_names_alone(found)))


def _names_alone(value: Any) -> Any:
    """Return a value of JSON in whose texts each absolute path is a file's name."""
    if isinstance(value, Mapping):
        return {key: _names_alone(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_names_alone(item) for item in value]
    return PATH.sub(lambda found: Path(found[0]).name, value) if isinstance(value, str) else value


def _outcomes(path: Path, target: Path) -> None:
    """Write what a test of two runs reads of their predictions."""
    table = pq.read_table(path)
    if set(table.column_names) >= LOSSES:
        columns = {name: table[name] for name in ("id", *sorted(LOSSES))}
    else:
        right = (
            a == b
            for a, b in zip(*(table[name].to_pylist() for name in ("label", "prediction")), strict=True)
        )
        columns = {
            "id": table["id"],
            "label": pa.array(["right"] * len(table)).dictionary_encode(),
            "prediction": pa.array(["right" if one else "wrong" for one in right]).dictionary_encode(),
        }
    target.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), target, compression="zstd")
