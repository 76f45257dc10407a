"""What is odd about the data, counted and never mended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from tunesweep.config import SPLITS, DatasetConfig
from tunesweep.data.examples import Examples, Splits

WORTH_SAYING = 0.01  # share of inputs that lose something


def quality(splits: Splits, truncated: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Return counts per split; `truncated` is the share of inputs that tokenizing cut short, per split."""
    parts: dict[str, Examples] = {split: getattr(splits, split) for split in SPLITS}
    keys = {split: _keys(examples) for split, examples in parts.items()}
    same = {split: [_in_any_order(key) for key in found] for split, found in keys.items()}
    learnt, chosen_on = set(same["train"]), set(same["select"])
    return {
        "rows": {split: len(examples) for split, examples in parts.items()},
        "empty": {split: sum(_empty(key, parts[split].task) for key in keys[split]) for split in SPLITS},
        "empty_answers": {split: _empty_answers(examples) for split, examples in parts.items()},
        "converted": {split: len(part.converted.intersection(part.ids)) for split, part in parts.items()},
        "duplicates": {split: len(found) - len(set(found)) for split, found in keys.items()},
        "overlap_with_train": {
            split: sum(key in learnt for key in same[split]) for split in ("select", "test")
        },
        "overlap_of_test_with_select": sum(key in chosen_on for key in same["test"]),
        "groups_shared_with_train": _shared_groups(parts),
        "classes": dict(sorted(Counter(splits.train.labels).items())) if splits.labels else {},
        "truncated": dict(truncated or {}),
        "unread": splits.unread,
    }


def _keys(examples: Examples) -> list[Hashable]:
    """Return what makes two inputs the same: the text, all texts of a tuple, the bytes of an image.

    Of a running text these are its lines; blank ones only part others.
    """
    if isinstance(examples.inputs, np.ndarray):
        return [image.tobytes() for image in examples.inputs]
    return [key for key in examples.inputs if not (examples.running and _blank(key))]


def _in_any_order(key: Hashable) -> Hashable:
    """Return a comparison of two responses without their order: it says as much the other way round."""
    return (key[0], *sorted(key[1:])) if isinstance(key, tuple) and len(key) == 3 else key


def _empty(key: Hashable, task: str) -> bool:
    """Whether a text is missing; what an instruction is to be carried out with may well be."""
    if isinstance(key, tuple):
        return any(map(_blank, key[:1] if task == "instruction" else key))
    return _blank(key)


def _blank(text: object) -> bool:
    return isinstance(text, str) and not text.strip()


def _empty_answers(examples: Examples) -> int:
    return sum(map(_blank, examples.labels)) if examples.task == "instruction" else 0


def _shared_groups(parts: Mapping[str, Examples]) -> dict[str, int]:
    learnt = set(parts["train"].groups or ())
    return {split: len(learnt & set(parts[split].groups or ())) for split in ("select", "test")}


def _apart(config: DatasetConfig | None) -> str:
    """Return how equal inputs are kept on one side, where a test split is cut from the rows of a file."""
    if config is None or config.test or config.folder or config.group or config.split_column:
        return ""
    if config.modality == "image" or config.task == "language_modeling":  # which have no groups
        return ""
    return f": dataset.group={config.text} would keep equal ones on one side of the cut"


def warnings(
    data: Mapping[str, Any], encoding: Mapping[str, Any], config: DatasetConfig | None = None
) -> list[str]:
    """Return, a sentence each, what a reader of the score should know about the data behind it."""
    rows, found = data["rows"], []
    if overlap := data["overlap_with_train"]["test"]:
        found.append(f"{overlap} of {rows['test']} test inputs also occur in train{_apart(config)}")
    if overlap := data["overlap_of_test_with_select"]:
        found.append(f"{overlap} of {rows['test']} test inputs also occur in select, where choices were made")
    if overlap := data["overlap_with_train"]["select"]:
        found.append(f"{overlap} of {rows['select']} select inputs also occur in train")
    if empty := data["empty"]["test"]:
        found.append(f"{empty} of {rows['test']} test texts are empty")
    if empty := data["empty_answers"]["test"]:
        found.append(f"{empty} of {rows['test']} test answers are empty")
    if converted := data["converted"]["test"]:
        found.append(f"{converted} of {rows['test']} test inputs had numbers or broken letters for texts")
    for split in data["unread"]:
        found.append(f"cross-validation cuts the rows of train: dataset.{split} was not read")
    if (cut := data["truncated"].get("test", 0.0)) > WORTH_SAYING:
        found.append(f"{cut:.0%} of test inputs were cut at {encoding['max_length']} tokens")
    if (kept := encoding.get("kept_pixels", 1.0)) < 1 - WORTH_SAYING:
        found.append(
            f"encoding {encoding['name']}: only {kept:.0%} of the pixels can be read after the tokenizer"
        )
    return found
