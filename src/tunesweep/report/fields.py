"""What a record says, by the names of columns: texts, numbers, settings."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from functools import cache, lru_cache
from typing import Any

import orjson

# Column -> where a record says it.
TEXTS = {
    "run_id": "run_id",
    "name": "name",
    "status": "status",
    "dataset": "config.dataset.name",
    "model": "config.model.name",
    "method": "config.method.name",
    "executor": "runtime.executor",
    "metric": "metrics.protocol.metric",
    "split": "metrics.protocol.split",
    "chosen_on": "metrics.protocol.chosen_on",
    "memory_how": "cost.memory_how",
    "failure_class": "failure.class",
    "failure": "failure.message",
    "stopped": "stopped",
    "family": "config.model.family",
    "perplexity_of": "metrics.protocol.perplexity",
    "predictions": "artefacts.predictions",
}
# What surrounds a run: where it differs, costs do not compare, and scores only with a warning.
SURROUNDINGS = {
    "device": "provenance.device",
    "threads": "provenance.threads",
    "strategy": "runtime.strategy",
    "devices": "runtime.devices",
    "torch": "provenance.versions.torch",
    "transformers": "provenance.versions.transformers",
    "peft": "provenance.versions.peft",
}
NUMBERS = {
    "r": "config.lora.r",
    "alpha": "config.lora.alpha",
    "lr": "config.train.lr",
    "adapter": "parameters.adapter",
    "head": "parameters.head",
    "trainable": "parameters.trainable",
    "total": "parameters.total",
    "train_rows": "data.rows.train",
    "tokens": "encoding.tokens_mean",
    "truncated": "encoding.truncated_share",
    "kept": "encoding.kept_pixels",
    "kept_accuracy": "encoding.kept_accuracy",
    "pixel_accuracy": "encoding.pixel_accuracy",
    "minutes_per_epoch": "cost.minutes_per_epoch",
    "minutes": "cost.minutes",
    "tokens_per_s": "cost.tokens_per_s",
    "memory_bytes": "cost.memory_bytes",
    "peak_memory_bytes": "cost.peak_memory_bytes",
    "disk_bytes": "cost.disk_bytes",
    "predicted_memory_bytes": "cost.predicted.memory_bytes",
    "predicted_peak_memory_bytes": "cost.predicted.peak_memory_bytes",
    "predicted_minutes": "cost.predicted.minutes",
    "probed": "cost.probed",  # steps alone that costs were measured by
    "group_runs": "cost.group.runs",
    "group_minutes": "cost.group.minutes",
    "merge_change": "integrity.merge.score_change",
    "batch_size_change": "integrity.batch_size_change",
}
# Other scores of the test split, and what training on some classes alone did to these and to the others.
SCORES = (
    *("macro_f1", "balanced_accuracy", "log_loss", "calibration_error", "unreadable", "order_consistency"),
    *("position_bias", "word_perplexity", "byte_perplexity", "bits_per_byte"),
    *("bleu", "chrf", "rouge_l", "token_f1", "exact_match", "numeric_match"),
)
SPECIALISED = ("errors", "others", "false_positives", "errors_off", "others_off", "false_positives_off")
NUMBERS |= {name: f"metrics.test.{name}" for name in SCORES}
NUMBERS |= {name: f"metrics.specialisation.{name}" for name in (*SPECIALISED, "overall_off")}


def _by_place(paths: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return, for each place in a record, the columns and what they are called there."""
    found: dict[str, dict[str, str]] = {}
    for column, path in paths.items():
        place, _, name = path.rpartition(".")
        found.setdefault(place, {})[column] = name
    return found


_Places = Mapping[str, Mapping[str, str]]
TEXTS_BY_PLACE, NUMBERS_BY_PLACE = _by_place(TEXTS), _by_place(NUMBERS)


def surroundings(source: Mapping[str, Any]) -> dict[str, str]:
    """Return what is known of device and software, versions to major.minor, as identities have them."""
    found = {key: text_of(dig(source, path)) for key, path in SURROUNDINGS.items()}
    versions = ("torch", "transformers", "peft")
    return {
        key: ".".join(value.split(".")[:2]) if key in versions else value
        for key, value in found.items()
        if value is not None
    }


def texts(source: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the columns of text."""
    return _read(source, TEXTS_BY_PLACE, text_of)


def numbers(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of numbers."""
    return _read(source, NUMBERS_BY_PLACE, number)


def _read(source: Any, places: _Places, convert: Callable[[Any], Any]) -> dict[str, Any]:
    """Return a value for every column; each place is gone to once, as there may be ten thousand records."""
    found: dict[str, Any] = {}
    for place, names in places.items():
        values = dig(source, place) if place else source
        known = values if isinstance(values, dict) else {}
        for column, name in names.items():
            value = known.get(name)
            found[column] = None if value is None else convert(value)
    return found


def dig(source: Any, path: str) -> Any:
    """Return what lies under a dotted path, or None."""
    for key in _steps(path):
        source = source.get(key) if isinstance(source, dict) else None
    return source


@cache
def _steps(path: str) -> tuple[str, ...]:
    return tuple(path.split("."))


def text_of(value: object) -> str | None:
    """Return a value as a text on one line, or None."""
    return None if value is None else one_line(value)


def number(value: object) -> Any:
    """Return a finite number as it is, anything else as None."""
    kind = type(value)  # exactly: True is no number
    return value if kind is int or (kind is float and math.isfinite(value)) else None  # type: ignore[arg-type]


def one_line(text: object) -> str:
    """Return a text on one line, without what a terminal would obey."""
    text = str(text)
    if text.isprintable() and "  " not in text and text == text.strip():  # nearly always, and soon known
        return text
    line = " ".join(text.split())
    return line if line.isprintable() else "".join(mark for mark in line if mark.isprintable())


def flatten(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a nested config as dotted keys; lists become JSON, `runtime` is no setting of a point."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if key != "runtime":
            flat |= _flat_part(key, orjson.dumps(value))
    return flat


@lru_cache(maxsize=1000)
def _flat_part(name: str, part: bytes) -> Mapping[str, Any]:
    """Flatten a part of a config, given as JSON: of ten thousand runs most parts are alike, and shared."""
    return dict(_leaves(name, orjson.loads(part)))


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(f"{name}.{key}", inner)
    else:
        yield name, json.dumps(value) if isinstance(value, list) else value
