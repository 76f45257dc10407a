"""No test of the mirror reaches beyond this machine, and W&B's own untidiness is no failure."""

from __future__ import annotations

import gc
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

IGNORED = (
    "ignore:Implicitly cleaning up:ResourceWarning",  # artifacts of W&B leave their folders to the collector
    "ignore:Pydantic V1 style:DeprecationWarning",  # wandb-workspaces is written for an earlier pydantic
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            for ignored in IGNORED:
                item.add_marker(pytest.mark.filterwarnings(ignored))


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Leave no garbage of W&B to tests that do not ignore its warnings."""
    yield
    with warnings.catch_warnings(action="ignore"):
        gc.collect()


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no socket of this process reach beyond this machine."""
    honest = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        local = self.family == socket.AF_UNIX or str(address[0]) in ("127.0.0.1", "::1", "localhost")
        assert local, f"a connection to {address}"
        honest(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
