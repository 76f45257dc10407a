"""A real sweep of three points in this process, and what it comes to when nothing happens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from three_points import SAME, RealCommandLine, Undisturbed


@pytest.fixture
def sweep(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path) -> RealCommandLine:
    """Return the command."""
    command = RealCommandLine(monkeypatch, tmp_path)
    command.place.append(f"runtime.cache={cache}")
    return command


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Undisturbed:
    """Return what the sweep comes to when nothing happens."""
    with pytest.MonkeyPatch.context() as patch:
        command = RealCommandLine(patch, tmp_path_factory.mktemp("undisturbed"))
        command.place.append(f"runtime.cache={cache}")
        outcome = command()
    assert outcome.status == 0, outcome.errors
    return command.records()


@pytest.fixture
def completes(sweep: RealCommandLine, undisturbed: Undisturbed) -> Callable[..., None]:
    """Check that the same command, given again, comes to what an undisturbed sweep comes to."""

    def check(*words: str, todo: int = 1) -> None:
        outcome = sweep(*words)
        assert outcome.status == 0, outcome.errors
        assert f"{3 - todo} finished, {todo} to do" in outcome.errors
        found = sweep.records()
        for seed, expected in undisturbed.items():
            assert [getattr(found[seed], key) for key in SAME] == [getattr(expected, key) for key in SAME]
        assert list((sweep.store.root / "work").iterdir()) == []

    return check
