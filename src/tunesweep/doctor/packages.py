"""Python and the packages, against the ranges that pyproject.toml gives."""

from __future__ import annotations

import platform
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesweep.doctor.finding import FAILS, NOTE, OK, Finding

if TYPE_CHECKING:
    from packaging.requirements import Requirement

PYPROJECT = Path(__file__).parents[3] / "pyproject.toml"  # of a clone
BASE = ""  # the packages that every installation has
LAUNCHERS = ("joblib", "slurm", "ray")  # extras
PLUGIN = "-launcher"  # how a plugin's name ends, among the packages of its extra
# What the main sweep does without, and what it is for.
SPARED = {
    "wandb": "the W&B mirror",
    "gguf": "models that come as GGUF, such as smollm2_135m",
    "sentencepiece": "the tokenizers of T5 and Llama 2",
    "protobuf": "the tokenizers of T5 and Llama 2",
    "sacrebleu": "scores of written answers",
    "matplotlib": "pictures",
}


def python(wanted: str | None = None) -> Finding:
    """Compare this Python with the range."""
    from packaging.specifiers import SpecifierSet

    wanted, here = wanted or _ranges()[0], platform.python_version()
    if SpecifierSet(wanted).contains(here, prereleases=True):
        return Finding("python", OK, f"{here} ({wanted})")
    return Finding(
        "python", FAILS, f"{here} is outside of {wanted}", "make the environment with such a Python"
    )


def packages() -> Iterator[Finding]:
    """Compare every package with its range; a line for each that is not as it should be, or one for all."""
    needed = _ranges()[1][BASE]
    odd = [finding for finding in map(_package, needed) if finding.status != OK]
    yield from odd or [Finding("packages", OK, f"all {len(needed)} are within their ranges")]


def launchers() -> Iterator[Finding]:
    """Say which of Hydra's launchers are there beside our own."""
    extras = _ranges()[1]
    plugins = {
        extra: one for extra in LAUNCHERS for one in extras.get(extra, ()) if one.name.endswith(PLUGIN)
    }
    here = {extra: plugin for extra, plugin in plugins.items() if _version(plugin.name)}
    for plugin in here.values():
        finding = _package(plugin)
        if finding.status != OK:
            yield Finding("launchers", NOTE, finding.found, finding.remedy)
    if not here:
        remedy = "for joblib, Slurm and Ray, pip install '.[cluster]' into an environment of its own"
        yield Finding("launchers", OK, "local alone", remedy)
        return
    yield Finding("launchers", OK, ", ".join(["local", *here]))


def _package(wanted: Requirement) -> Finding:
    name, here = wanted.name, _version(wanted.name)
    remedy = f"pip install '{name}{wanted.specifier}'"
    if here is None:
        if name in SPARED:
            return Finding("packages", NOTE, f"{name} is not installed, and {SPARED[name]} needs it", remedy)
        return Finding("packages", FAILS, f"{name} is not installed", remedy)
    broken = [part for part in wanted.specifier if not part.contains(here, prereleases=True)]
    if not broken:
        return Finding("packages", OK, f"{name} {here}")
    found = f"{name} {here} is outside of {wanted.specifier}"
    # A lower bound is what the code needs; above an upper one nothing was tried.
    late = all(part.operator in ("<", "<=") for part in broken)
    return Finding("packages", NOTE if late or name in SPARED else FAILS, found, remedy)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _ranges() -> tuple[str, dict[str, list[Requirement]]]:
    """Return the range of Python, and by extra the packages with theirs: of the clone, or as installed."""
    if PYPROJECT.is_file():
        return _of_clone(tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"])
    return _as_installed(metadata.metadata("tunesweep"))


def _of_clone(project: dict[str, Any]) -> tuple[str, dict[str, list[Requirement]]]:
    from packaging.requirements import Requirement

    listed = {BASE: project["dependencies"]} | project["optional-dependencies"]
    return project["requires-python"], {
        extra: list(map(Requirement, lines)) for extra, lines in listed.items()
    }


def _as_installed(about: Any) -> tuple[str, dict[str, list[Requirement]]]:
    from packaging.requirements import Requirement

    extras = [BASE, *(about.get_all("Provides-Extra") or ())]
    found: dict[str, list[Requirement]] = {extra: [] for extra in extras}
    for wanted in map(Requirement, about.get_all("Requires-Dist") or ()):
        holds = [
            extra for extra in extras if wanted.marker is None or wanted.marker.evaluate({"extra": extra})
        ]
        for extra in [BASE] if BASE in holds else holds:
            found[extra].append(wanted)
    return str(about["Requires-Python"]), found
