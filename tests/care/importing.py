"""`tunesweep import` as a user calls it, and a store whose records are edited by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from tunesweep.cli import app
from tunesweep.store import Store


def import_(ours: Store, other: Path) -> Result:
    return CliRunner().invoke(app, ["import", str(other), "--store", str(ours.root)])


def edit(store: Store, run_id: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a record's JSON by hand."""
    path = store.path("records", run_id)
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
