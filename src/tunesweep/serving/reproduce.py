"""The command that makes a run again, from its record."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import PurePath
from typing import Any

from tunesweep import door
from tunesweep.errors import BadConfig
from tunesweep.record import RunRecord

GROUPS = ("model", "method", "encoding", "dataset", "readout")
# Others follow from these, and of these the later ones from the earlier.
TIERS = (("lora.r",), ("lora.alpha", "lora.dropout", "lora.rslora", "lora.targets", "seed", "dataset.path"))
DATA = ("dataset.train", "dataset.select", "dataset.test", "dataset.folder", "dataset.path")
ALWAYS = ("train.precision",)  # its default depends on the machine
PLACES = ("train", "select", "test", "folder", "path", "source", "tokenizer")  # what may be a path


def command(record: RunRecord) -> tuple[str, bool]:
    """Return the command: options by name, and each value that does not follow.

    Files are named without their folders; the second value says whether there are any.
    """
    wanted = _flat({key: value for key, value in record.config.items() if key != "runtime"})
    named = {group: record.config[group]["name"] for group in GROUPS}
    choices = [f"{group}={name}" for group, name in named.items() if _is_option(group, name)]
    keys = {} if _stands_alone(choices) else {key: True for key in DATA if wanted[key] is not None}
    while more := _next(wanted, base := _flat(_composed([*choices, *_words(keys, wanted)])), keys):
        keys |= {key: key in base for key in more}
    shown = {key: _without_folders(key, value) for key, value in wanted.items()}
    words = [*choices, *_words(keys, shown)]
    shortened = any(shown[key] != wanted[key] for key in keys)
    return " ".join(["python train.py", *map(shlex.quote, words)]), shortened


def _stands_alone(choices: list[str]) -> bool:
    """Whether these options are a whole point: dataset=files is none without its file."""
    try:
        return bool(_composed(choices))
    except BadConfig:
        return False


def _is_option(group: str, name: str) -> bool:
    return (door.conf_folder() / group / f"{name}.yaml").is_file()


def _next(wanted: Mapping[str, Any], base: Mapping[str, Any], said: Collection[str]) -> list[str]:
    """Return what the words so far do not give, as far as nothing else of it can follow from these."""
    different = [
        key
        for key in wanted
        if key not in said
        and not key.endswith(".name")
        and (key in ALWAYS or key not in base or base[key] != wanted[key])
    ]
    tiers = ([key for key in tier if key in different] for tier in TIERS)
    return next(filter(None, tiers), different)


def _composed(words: list[str]) -> dict[str, Any]:
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    door.register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(door.conf_folder().absolute()), version_base="1.3"):
        config = asdict(door.to_run_config(compose("config", overrides=words)))
    return {key: value for key, value in config.items() if key != "runtime"}


def _flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        inner = isinstance(value, dict) and value
        flat |= _flat(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
    return flat


def _words(keys: Mapping[str, bool], values: Mapping[str, Any]) -> list[str]:
    """Return the words of some keys; a key that the options do not have is added by `+`."""
    return [f"{'' if known else '+'}{key}={text(values[key])}" for key, known in keys.items()]


def _without_folders(key: str, value: Any) -> Any:
    """Return the name alone of a place on somebody's machine; hub ids and packages stay."""
    if key.rpartition(".")[2] not in PLACES or not isinstance(value, str) or ":" in value:
        return value
    is_path = key.startswith("dataset.") or PurePath(value).is_absolute() or value.startswith((".", "~"))
    return PurePath(value).name if is_path else value


def text(value: Any) -> str:
    """Return a value as Hydra's grammar reads it."""
    if isinstance(value, str):
        plain = value and all(mark.isalnum() or mark in "_-./:@" for mark in value)
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return value if plain else f"'{escaped}'"
    if isinstance(value, list):
        return f"[{','.join(map(text, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{text(key)}:{text(item)}' for key, item in value.items())}}}"
    return json.dumps(value)
