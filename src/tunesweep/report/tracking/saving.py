"""Where built workspaces and reports go: to the service, or as JSON below the store's reports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunesweep.config import WandbConfig
from tunesweep.errors import StorageError
from tunesweep.report.fields import one_line
from tunesweep.report.tracking import dashboards
from tunesweep.report.tracking.dashboards import Subject
from tunesweep.store import Store, write

KINDS = ("workspace", "report")
FILLED = {"workspace": ("name", "sections", "runset_settings"), "report": ("title", "description", "blocks")}


def save(store: Store, subject: Subject, kinds: tuple[str, ...], settings: WandbConfig) -> Iterator[str]:
    """Save the dashboards of these kinds, and say for each where it is."""
    folder = store.path("reports", subject.table.name)
    online = settings.mode == "online"
    if online and kinds:
        settings = replace(settings, entity=settings.entity or _entity())
    for kind in kinds:
        built = _build(kind, subject, settings)
        place = _send(kind, built, folder / "wandb.json") if online else _write(kind, built, folder)
        yield f"{kind}: {place}"


def _build(kind: str, subject: Subject, settings: WandbConfig) -> Any:
    try:
        return getattr(dashboards, kind)(subject, settings)
    except Exception as error:  # the library asks the service, and has errors of many kinds
        raise StorageError(f"the W&B {kind} cannot be built: {one_line(error)}") from None


def _write(kind: str, built: Any, folder: Path) -> Path:
    """Write what would be sent, which is all that can be looked at without the service."""
    path = folder / f"wandb-{kind}.json"
    model = built._to_model().model_dump(mode="json", by_alias=True, exclude_none=True)
    write(path, json.dumps(model, indent=1))
    return path


def _send(kind: str, built: Any, memory: Path) -> str:
    """Save to the service: over what an earlier command saved there, if that is still there."""
    known = _remembered(memory)
    name = f"{built.entity}/{built.project}/{kind}"
    try:
        target = _earlier(type(built), known.get(name)) or built
        for attribute in FILLED[kind]:
            setattr(target, attribute, getattr(built, attribute))
        target.save()
    except Exception as error:  # whatever the service answers
        raise StorageError(
            f"W&B did not take the {kind} ({type(error).__name__}: {one_line(error)})"
        ) from None
    write(memory, json.dumps(known | {name: target.url}, indent=1))
    return str(target.url)


def _earlier(form: Any, address: str | None) -> Any:
    """Return what lies at an address, or nothing where it was deleted or cannot be read."""
    if address is None:
        return None
    try:
        return form.from_url(address)
    except Exception:
        return None


def _remembered(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _entity() -> str:
    """Return the account that a key belongs to: dashboards, unlike runs, have to name it."""
    import wandb

    try:
        found = wandb.Api().default_entity
    except Exception as error:
        raise StorageError(f"W&B does not say whose key this is ({one_line(error)}): name --entity") from None
    if not found:
        raise StorageError("W&B names no default entity for this key: name one with --entity")
    return str(found)
