"""What is odd about the data, counted and never mended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from tunesweep.config import SPLITS
from tunesweep.data.examples import Examples, Splits

WORTH_SAYING = 0.01  # share of inputs that lose something


def quality(splits: Splits, truncated: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Return counts per split; `truncated` is the share of inputs that tokenizing cut short, per split."""
    parts: dict[str, Examples] = {split: getattr(splits, split) for split in SPLITS}
    keys = {split: _keys(examples) for split, examples in parts.items()}
    learnt, chosen_on = set(keys["train"]), set(keys["select"])
    return {
        "rows": {split: len(examples) for split, examples in parts.items()},
        "empty": {split: sum(_empty(key) for key in found) for split, found in keys.items()},
        "duplicates": {split: len(found) - len(set(found)) for split, found in keys.items()},
        "overlap_with_train": {
            split: sum(key in learnt for key in keys[split]) for split in ("select", "test")
        },
        "overlap_of_test_with_select": sum(key in chosen_on for key in keys["test"]),
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


def warnings(data: Mapping[str, Any], encoding: Mapping[str, Any]) -> list[str]:
    """Return, a sentence each, what a reader of the score should know about the data behind it."""
    rows, found = data["rows"], []
    if overlap := data["overlap_with_train"]["test"]:
        found.append(f"{overlap} of {rows['test']} test inputs also occur in train")
    if overlap := data["overlap_of_test_with_select"]:
        found.append(f"{overlap} of {rows['test']} test inputs also occur in select, where choices were made")
    if overlap := data["overlap_with_train"]["select"]:
        found.append(f"{overlap} of {rows['select']} select inputs also occur in train")
    if empty := data["empty"]["test"]:
        found.append(f"{empty} of {rows['test']} test texts are empty")
    if (cut := data["truncated"].get("test", 0.0)) > WORTH_SAYING:
        found.append(f"{cut:.0%} of test inputs were cut at {encoding['max_length']} tokens")
    if (kept := encoding.get("kept_pixels", 1.0)) < 1 - WORTH_SAYING:
        found.append(
            f"encoding {encoding['name']}: only {kept:.0%} of the pixels can be read after the tokenizer"
        )
    return found
