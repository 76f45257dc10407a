"""The one place where a name in a config becomes a Python object."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from tunesweep.errors import BadConfig, suggest

ALLOWED = ("peft.", "tunesweep.data.encodings.")


def check_target(target: str) -> None:
    """Refuse a `_target_` outside the allow-listed modules; nothing is imported."""
    if not target.startswith(ALLOWED):
        raise BadConfig(f"_target_={target} is not allowed: it must begin with {' or '.join(ALLOWED)}")


def locate(target: str) -> Any:
    """Return the object that a `_target_` names, from the allow-listed modules only."""
    check_target(target)
    module, _, name = target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise BadConfig(f"_target_={target} does not exist: {error}") from None
    if not inspect.isclass(found):
        raise BadConfig(f"_target_={target} is no class: name one")
    return found


def build(spec: Mapping[str, Any], **extra: Any) -> Any:
    """Call what `_target_` names with the other keys of the mapping as arguments."""
    arguments = {str(key): value for key, value in spec.items() if key != "_target_"} | extra
    target = locate(str(spec.get("_target_")))
    known = inspect.signature(target).parameters
    for key in arguments:
        if key not in known:
            raise BadConfig(f"{spec['_target_']} has no option '{key}': it takes {suggest(key, known)}")
    return target(**arguments)
