"""Packages of other versions than those that are installed."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata

import pytest


@pytest.fixture
def version(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let a package have another version, or none."""
    real = metadata.version

    def pretend(**versions: str | None) -> None:
        known = {name.replace("_", "-"): value for name, value in versions.items()}

        def told(name: str) -> str:
            if name not in known:
                return real(name)
            if (value := known[name]) is None:
                raise metadata.PackageNotFoundError(name)
            return value

        monkeypatch.setattr(metadata, "version", told)

    return pretend
