"""What the package needs is declared, and may be used with it."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

SOURCE = Path(__file__).parents[1] / "src"
PERMISSIVE = re.compile(r"Apache|BSD|MIT|ISC|MPL|Mozilla|PSF|Python Software Foundation|Zlib")
COPYLEFT = re.compile(r"GPL|GNU|SSPL|Commons Clause|Proprietary", re.IGNORECASE)
# Imported where they are installed, and only then; a sentence says what to install otherwise.
EXTRAS = {"optuna", "wandb_workspaces", "ray", "submitit", "joblib", "liger_kernel", "flash_attn"}
OURS = {"tunesweep", "hydra_plugins"}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def required(found: Distribution) -> Iterator[Requirement]:
    for text in found.requires or []:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement


@cache
def closure() -> dict[str, Distribution]:
    """Return what an installation brings along, by name."""
    found: dict[str, Distribution] = {}
    waiting = ["tunesweep"]
    while waiting:
        name = canonical(waiting.pop())
        if name in found or name.startswith("nvidia-"):  # CUDA's libraries, under terms of their own
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:  # for another system
            continue
        waiting += [requirement.name for requirement in required(found[name])]
    return found


@pytest.mark.parametrize("name", sorted(closure()))
def test_a_dependency_is_under_a_permissive_licence(name: str) -> None:
    about = closure()[name].metadata
    said = [about.get("License-Expression"), (about.get("License") or "")[:200]]
    said += [line for line in about.get_all("Classifier", []) if line.startswith("License")]
    text = " ".join(filter(None, said))
    assert PERMISSIVE.search(text), text
    assert not COPYLEFT.search(text), text


def imported() -> dict[str, str]:
    """Return the packages that the source imports, each with a file that does."""
    found: dict[str, str] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            found |= {name.partition(".")[0]: str(path) for name in names}
    return found


def test_what_is_imported_is_declared() -> None:
    declared = {canonical(requirement.name) for requirement in required(distribution("tunesweep"))}
    homes = packages_distributions()
    undeclared = {
        name: path
        for name, path in imported().items()
        if name not in sys.stdlib_module_names | EXTRAS | OURS
        and not declared & {canonical(home) for home in homes.get(name, [name])}
    }
    assert not undeclared


def test_what_is_declared_is_imported_or_said_why() -> None:
    spoken_for = {
        "accelerate",  # transformers loads weights in 4 bits and in parts with it
        "bitsandbytes",  # transformers finds it
        "sentencepiece",  # tokenizers of Llama and T5
        "protobuf",  # likewise
        "gguf",  # transformers reads GGUF with it
        "tokenizers",  # its version is part of who a run is
    }
    homes = packages_distributions()
    used = {canonical(home) for name in imported() for home in homes.get(name, [])}
    declared = {canonical(requirement.name) for requirement in required(distribution("tunesweep"))}
    assert declared - used <= spoken_for
