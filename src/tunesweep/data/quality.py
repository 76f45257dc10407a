"""What is odd about the data, counted and never mended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from tunesweep.config import SPLITS
from tunesweep.data.examples import Examples, Splits


def quality(splits: Splits, truncated: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Return counts per split; `truncated` is the share of inputs that tokenizing cut short, per split."""
    parts: dict[str, Examples] = {split: getattr(splits, split) for split in SPLITS}
    keys = {split: _keys(examples) for split, examples in parts.items()}
    learnt = set(keys["train"])
    return {
        "rows": {split: len(examples) for split, examples in parts.items()},
        "empty": {split: sum(_empty(key) for key in found) for split, found in keys.items()},
        "duplicates": {split: len(found) - len(set(found)) for split, found in keys.items()},
        "overlap_with_train": {
            split: sum(key in learnt for key in keys[split]) for split in ("select", "test")
        },
        "groups_shared_with_train": _shared_groups(parts),
        "classes": dict(sorted(Counter(splits.train.labels).items())),
        "truncated": dict(truncated or {}),
    }


def _keys(examples: Examples) -> list[Hashable]:
    """Return what makes two inputs the same: the text, both texts of a pair, the bytes of an image."""
    if isinstance(examples.inputs, np.ndarray):
        return [image.tobytes() for image in examples.inputs]
    return list(examples.inputs)


def _empty(key: Hashable) -> bool:
    if isinstance(key, tuple):
        return any(_empty(part) for part in key)
    return isinstance(key, str) and not key.strip()


def _shared_groups(parts: Mapping[str, Examples]) -> dict[str, int]:
    learnt = set(parts["train"].groups or ())
    return {split: len(learnt & set(parts[split].groups or ())) for split in ("select", "test")}
