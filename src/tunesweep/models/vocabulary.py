"""Where a tokenizer lies that does not come with the weights: read without torch, like the weights' place."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from tunesweep.config import ModelConfig
from tunesweep.data.location import file_digest
from tunesweep.errors import BadConfig
from tunesweep.models import sources

MARK = "#tokenizer="  # in a fingerprint, before the tokenizer's own


def place(model: ModelConfig) -> tuple[str, str | None]:
    """Return what `AutoTokenizer.from_pretrained` is given: a checked folder, or a hub id and its commit."""
    source = _source(model)
    if sources.on_hub(source):
        return source.source, sources.commit(source)
    folder = sources.locate(source)
    assert folder is not None
    _files(model, folder)
    return str(folder), None


def fingerprint(model: ModelConfig, cache: Path) -> str:
    """Return a hash of the tokenizer's files, or the hub's commit of them."""
    folder, revision = place(model)
    if revision is not None:
        return f"hub:{folder}@{revision}"
    digests = {path.name: file_digest(path, cache) for path in _files(model, Path(folder))}
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def _source(model: ModelConfig) -> ModelConfig:
    """Return the tokenizer's place as a model's: the file stands for the copy of a hub id that is whole."""
    own = replace(model, source=str(model.tokenizer), tokenizer=None, revision=None, file=None)
    return replace(own, file="tokenizer_config.json") if sources.on_hub(own) else own


def _files(model: ModelConfig, folder: Path) -> list[Path]:
    found = sorted({path for pattern in sources.SPEECH for path in folder.glob(pattern)})
    if not any(path.name == "tokenizer.json" or path.name.startswith("vocab.") for path in found) and not any(
        path.suffix == ".model" for path in found
    ):
        raise BadConfig(
            f"model.tokenizer={model.tokenizer} holds no tokenizer.json, vocabulary or .model file"
        )
    return found
