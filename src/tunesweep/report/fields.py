"""What a record says, by the names of columns: texts, numbers, settings."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

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


def read(source: Any, places: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Return a value for every column; each place is gone to once, as there may be ten thousand records."""
    found: dict[str, Any] = {}
    for place, names in places.items():
        values = dig(source, place) if place else source
        known = values if isinstance(values, dict) else {}
        found |= {column: known.get(name) for column, name in names.items()}
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
    real = isinstance(value, int | float) and not isinstance(value, bool)
    return value if real and math.isfinite(value) else None  # type: ignore[arg-type]


def one_line(text: object) -> str:
    """Return a text on one line, without what a terminal would obey."""
    line = " ".join(str(text).split())
    return line if line.isprintable() else "".join(mark for mark in line if mark.isprintable())


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested config as dotted keys; lists become JSON, `runtime` is no setting of a point."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        name = _dotted(prefix, key)
        if isinstance(value, dict):
            flat |= flatten(value, f"{name}.") if name != "runtime" else {}
        else:
            flat[name] = _text_of_list(value) if isinstance(value, list) else value
    return flat


@cache  # ten thousand rows have the same few keys, and share them
def _dotted(prefix: str, key: str) -> str:
    return f"{prefix}{key}"


def _text_of_list(values: list[Any]) -> str:
    plain = all(isinstance(value, str) for value in values)
    return _text_of_words(tuple(values)) if plain else json.dumps(values)


@lru_cache
def _text_of_words(words: tuple[str, ...]) -> str:
    return json.dumps(words)
