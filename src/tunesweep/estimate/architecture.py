"""Where the sizes of a model come from: its config.json, the header of its GGUF file, or the hub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tunesweep.config import ModelConfig
from tunesweep.errors import TunesweepError
from tunesweep.estimate import gguf_header, shape
from tunesweep.estimate.shape import Shape
from tunesweep.identity import digest
from tunesweep.models import sources

_KNOWN: dict[str, Shape | None] = {}


def shape_of(model: ModelConfig) -> Shape | None:
    """Return the sizes of a model, or nothing where they cannot be had without loading it."""
    key = digest(asdict(model))
    if key not in _KNOWN:
        try:
            _KNOWN[key] = shape.read(_described(model))
        except (TunesweepError, OSError, ValueError):  # an estimate is no reason to stop
            _KNOWN[key] = None
    return _KNOWN[key]


def _described(model: ModelConfig) -> Mapping[str, Any]:
    if model.family == "vision":
        return {}
    if model.random:
        beside = sources.describe(replace(model, source=str(model.tokenizer), file=None))
        return {"vocab_size": beside.get("vocab_size"), **_defaults(model.architecture)}
    found = sources.describe(model)
    if found:
        return found
    folder = sources.locate(model)
    if model.file and folder is not None:
        return gguf_header.read(folder / model.file)
    return _of_hub(model) if sources.on_hub(model) and not model.file else {}


def _defaults(architecture: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said of a random model; its embeddings are tied unless that says otherwise."""
    return {"tie_word_embeddings": True, **architecture}


def _of_hub(model: ModelConfig) -> Mapping[str, Any]:
    """Return the config.json of a model that has not been downloaded; planning has asked the hub before."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HFValidationError, HTTPError

    try:
        path = Path(hf_hub_download(model.source, sources.CONFIG, revision=model.revision))
    except (HTTPError, HFValidationError):
        return {}
    return sources.describe(replace(model, source=str(path.parent)))
