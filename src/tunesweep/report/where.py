"""`--where KEY=VALUE,...`: which rows of a table are shown."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tunesweep.errors import BadConfig, suggest

if TYPE_CHECKING:
    from tunesweep.report.rows import Row


def narrow(rows: list[Row], where: Iterable[str]) -> list[Row]:
    """Keep the rows of which every KEY=VALUE,... holds; a key or value that no row has is refused."""
    kept = rows
    for condition in where if rows else ():
        name, _, wanted = condition.partition("=")
        key, values = _key(name, rows), wanted.split(",")
        texts = {row["run_id"]: _plain(row.raw.get(key)) for row in rows}
        for value in values:
            options = sorted(set(texts.values()))
            if _plain(value) not in options:
                raise BadConfig(
                    f"--where {name}={value} holds for no row: choose {suggest(_plain(value), options)}; "
                    "--all looks at every run of the store"
                )
        kept = [row for row in kept if texts[row["run_id"]] in {_plain(value) for value in values}]
    if rows and not kept:
        raise BadConfig(f"--where {' --where '.join(where)} holds for no row: drop one of the conditions")
    return kept


def _key(name: str, rows: list[Row]) -> str:
    """Return the key that a name stands for: itself, the name of its group, or the one key it ends."""
    keys = list(dict.fromkeys(key for row in rows for key in row.raw))
    for same in (name, f"{name}.name"):
        if same in keys:
            return same
    found = [key for key in keys if key.endswith(f".{name}")]
    if len(found) != 1:
        raise BadConfig(f"--where {name}=... is not one column: choose {suggest(name, found or keys)}")
    return found[0]


def _plain(value: object) -> str:
    """Write numbers in one way, so that 1e-3 finds 0.001."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    try:
        return f"{float(value):.12g}"  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return str(value).lower()
