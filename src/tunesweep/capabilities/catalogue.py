"""The methods there are: every YAML of a folder, by name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tunesweep.config import MethodConfig, Shots
from tunesweep.errors import BadConfig

_READ = ("trained", "trains", "quantisation", "peft", "layers", "hook", "merges")

# What a run keeps on disk, by the first of these traits that a method has.
ARTEFACTS = {
    "untrained": "nothing",
    "every_weight": "the whole model",
    "peft": "PEFT format",
    "layers": "safetensors of the layers",
    "base_weights": "safetensors of what changed",
    "head_alone": "safetensors of the head",
}


def methods(folders: Iterable[Path]) -> dict[str, MethodConfig]:
    """Return every method below the folders, `method/NAME.yaml` in each; later folders win."""
    found = {path.stem: path for folder in folders for path in sorted((folder / "method").glob("*.yaml"))}
    return {name: _method(name, found) for name in sorted(found)}


def _method(name: str, paths: dict[str, Path]) -> MethodConfig:
    raw = _composed(name, paths)
    shots = Shots(**raw.get("shots", {}))
    return MethodConfig(name=name, shots=shots, **{key: raw[key] for key in _READ if key in raw})


def _composed(name: str, paths: dict[str, Path]) -> dict[str, Any]:
    """Return a YAML over those that its `defaults` name, as Hydra puts them together; nothing is resolved."""
    from omegaconf import OmegaConf
    from yaml import YAMLError

    if name not in paths:
        raise BadConfig(f"method={name} is named by another's defaults and does not exist: correct them")
    try:
        own: Any = OmegaConf.to_container(OmegaConf.load(paths[name]), resolve=False)
    except YAMLError as error:
        raise BadConfig(f"{paths[name]} is no YAML ({' '.join(str(error).split())}): correct it") from None
    parts = [other for other in own.pop("defaults", []) if other != "_self_"]
    merged = OmegaConf.merge(*(_composed(str(other), paths) for other in parts), own)
    return dict(OmegaConf.to_container(merged, resolve=False))  # type: ignore[arg-type]


def artefact(traits: frozenset[str]) -> str:
    """Return what a run of a method with these traits keeps."""
    return next(kept for trait, kept in ARTEFACTS.items() if trait in traits)
