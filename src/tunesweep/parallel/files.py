"""What the processes of a point say to one another, besides gradients: JSON files in one folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tunesweep import store

JOB = "job.json"


def result(rank: int) -> str:
    """Return the name of what a process says when it has finished."""
    return f"result-{rank}.json"


def failure(rank: int) -> str:
    """Return the name of what a process says when it has failed."""
    return f"failure-{rank}.json"


def put(folder: Path, name: str, content: dict[str, Any]) -> None:
    """Write a file whole or not at all."""
    store.write(folder / name, json.dumps(content))


def get(folder: Path, name: str) -> dict[str, Any]:
    """Read a file."""
    found: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
    return found
