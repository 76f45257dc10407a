"""`tunesweep extend`: the command of a sweep with more values on one of its axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from tunesweep.errors import BadConfig
from tunesweep.report.rows import find_sweep
from tunesweep.serving.reproduce import text
from tunesweep.store import Store

PLACES = ("runtime", "hydra")  # words on where and how: they replace the command's own


def command(store: Store, wanted: str, words: Sequence[str]) -> list[str]:
    """Return the words for `train.py` that make a sweep's members and those of the new values.

    One word of these is the axis, `seed=3,4`; others are on where and how.
    """
    sweep_id, data = find_sweep(store, wanted)
    if "search" in data:
        raise BadConfig(f"sweep {sweep_id} is a search: give its command a larger budget instead")
    given = _parsed(words)
    axes = [word for word in given if not _is_place(word)]
    if len(axes) != 1:
        raise BadConfig(f"{len(axes)} axes in {' '.join(words) or 'nothing'}: give one, as in seed=3,4")
    old = _parsed([str(word) for word in data.get("command", [])])
    replaced = {_key(word) for word in given} | {"runtime.store", "runtime.extends"}
    return [
        *(str(word.input_line) for word in old if _key(word) not in replaced),
        _axis(axes[0], next((word for word in old if _key(word) == _key(axes[0])), None), data),
        *(str(word.input_line) for word in given if _is_place(word)),
        f"runtime.store={text(str(store.root))}",
        f"runtime.extends={sweep_id}",
    ]


def value_of(config: Mapping[str, Any], key: str) -> Any:
    """Return what a resolved config has under a dotted key, and of a group the name of its option."""
    node: Any = config
    for part in key.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node.get("name") if isinstance(node, Mapping) and "name" in node else node


def _parsed(words: Sequence[str]) -> list[Override]:
    return list(OverridesParser.create().parse_overrides(list(words)))


def _key(word: Override) -> str:
    return str(word.key_or_group)


def _is_place(word: Override) -> bool:
    return _key(word).split(".")[0].split("/")[0] in PLACES


def _axis(new: Override, old: Override | None, data: Mapping[str, Any]) -> str:
    """Return the axis with the values of the sweep before the new ones."""
    key, values = _key(new), _values(new)
    known = _frozen_values(key, data) if old is None else _values(old)
    if again := [value for value in values if value in known]:
        raise BadConfig(f"{key}={','.join(again)} is in the sweep already: give new values alone")
    head = str((old or new).input_line).partition("=")[0]
    return f"{head}={','.join([*known, *values])}"


def _values(word: Override) -> list[str]:
    """Return the values of a word as they are written."""
    if not word.is_sweep_override():
        return [word.get_value_element_as_str()]
    if not (word.is_choice_sweep() or word.is_range_sweep()):
        raise BadConfig(f"{word.input_line} cannot be extended: write its values with commas between them")
    return list(word.sweep_string_iterator())


def _frozen_values(key: str, data: Mapping[str, Any]) -> list[str]:
    """Return the values that the members have, in their order."""
    configs = [point.get("config") or {} for point in data.get("points", {}).values()]
    found = [value_of(config, key) for config in configs]
    if not found or any(isinstance(value, Mapping) or value is None for value in found):
        raise BadConfig(f"which {key} the members of the sweep have is not known: choose another axis")
    return list(dict.fromkeys(map(text, found)))
