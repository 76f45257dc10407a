"""Who a run is: a hash of everything that can change its numbers, and of nothing else (R2)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from tunesweep.config import RunConfig
from tunesweep.data import location
from tunesweep.errors import BadData
from tunesweep.models import sources

RECIPE = 2  # raised when the meaning of training changes, so that older numbers are not taken for new ones
LIBRARIES = ("torch", "transformers", "peft")
version = cache(metadata.version)  # planning asks for every point, and each time files would be read

# Names for people, places (content stands for them) and limits that only guard: none changes a number.
_NOT_IDENTITY = {
    "model": (
        "name",
        "source",
        "revision",
        "file",
        "tokenizer",
        "width",
        "max_length",
        "past_key_values",
        "trust_remote_code",
        "budget",
        "target_modules",
    ),
    "method": ("name", "budget", "merges"),
    "dataset": ("name", "train", "select", "test", "folder", "path", "files", "local", "revision"),
    "encoding": ("name",),
}
# What each readout reads of its group.
_PROMPT = ("words", "prompt", "chat")
READ_BY = {
    "linear": ("pooling",),
    "label_words": (*_PROMPT, "normalise", "calibration"),
    "generate": (*_PROMPT, "constrain", "max_new_tokens"),
}


def canonical(config: RunConfig) -> dict[str, Any]:
    """Return the part of a configuration that can change a number, without what the method ignores.

    The lora group acts only through what the method's YAML interpolates, so it is always left out.
    A model that reads pictures ignores the encoding, a readout other than `linear` the pooling.
    """
    parts = asdict(config)
    for key in ("runtime", "lora", "seed"):
        del parts[key]
    for group, names in _NOT_IDENTITY.items():
        for name in names:
            parts[group].pop(name, None)
    if config.model.family == "vision":
        parts["encoding"] = {}
    if config.readout.name != "linear":
        del parts["model"]["pooling"]
    read = READ_BY.get(config.readout.name, ())
    parts["readout"] = {key: value for key, value in parts["readout"].items() if key in ("name", *read)}
    if not config.method.trained:
        _leave_training(parts, config)
    return {key: _sorted_sets(value) for key, value in parts.items()}


def _leave_training(parts: dict[str, Any], config: RunConfig) -> None:
    """Drop what only training reads; the order of the data also chooses solved examples."""
    parts["train"] = {"precision": config.train.precision}
    if not config.model.random:  # whose weights are drawn from it
        del parts["seeds"]["init"]
    if not config.method.shots.k or config.method.shots.by != "seed":
        del parts["seeds"]["data"]


def _sorted_sets(value: Any) -> Any:
    """Sort what is a set by meaning: target modules are matched, never counted through."""
    if not isinstance(value, dict):
        return value
    return {
        k: sorted(v) if k == "target_modules" and isinstance(v, list) else _sorted_sets(v)
        for k, v in value.items()
    }


def run_id(config: RunConfig, model: str, data: str) -> str:
    """Return 16 hexadecimal digits that stand for a point."""
    libraries = {name: ".".join(version(name).split(".")[:2]) for name in LIBRARIES}
    inputs = {
        "config": canonical(config),
        "model": model,
        "data": data,
        "recipe": RECIPE,
        "libraries": libraries,
    }
    return digest(inputs)


Known = dict[str, str]


def identify(config: RunConfig, known: Known | None = None) -> None:
    """Set fingerprints and run id, and pin hub ids to the commits they stand for now.

    `known` remembers fingerprints from point to point: files are hashed, and the hub is asked, once.
    """
    point, cache, known = config.runtime.point, Path(config.runtime.cache), {} if known is None else known
    if point.run_id:  # a planner has been here
        return
    model_key, data_key = digest(asdict(config.model)), digest(asdict(config.dataset))
    if model_key not in known:
        known[model_key] = sources.fingerprint(config.model, cache)
    if data_key not in known:
        known[data_key] = location.fingerprint(config.dataset, cache)
    point.model_fingerprint, point.data_fingerprint = known[model_key], known[data_key]
    point.run_id = run_id(config, point.model_fingerprint, point.data_fingerprint)
    config.model.revision = sources.pinned(config.model, point.model_fingerprint)
    config.dataset.revision = location.pinned(config.dataset)


def check_unchanged(config: RunConfig) -> None:
    """Refuse data that are no longer what the point was planned for."""
    now = location.fingerprint(config.dataset, Path(config.runtime.cache))
    if now != config.runtime.point.data_fingerprint:
        raise BadData(
            f"a file of dataset={config.dataset.name} has changed since the sweep was planned: "
            "start the command again"
        )


def sweep_id(run_ids: list[str]) -> str:
    """Return the id of a set of runs, whatever their order."""
    return digest(sorted(set(run_ids)))


def digest(value: Any) -> str:
    """Return 64 bits of SHA-256 over canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
