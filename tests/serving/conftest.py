"""Finished runs, each made once a session, with what they predicted; points as a user would compose them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from typer.testing import CliRunner, Result

from tunesweep import door
from tunesweep.cli import app
from tunesweep.config import RunConfig
from tunesweep.point import run
from tunesweep.record import RunRecord
from tunesweep.store import Store

ROOT = Path(__file__).parents[2]
FEW = (
    *("dataset.limit.train=16", "dataset.limit.select=8", "dataset.limit.test=16", "encoding.max_length=128"),
    *("train.epochs=1", "train.batch_size=8", "train.precision=fp32", "runtime.keep=all"),
)


def point(store: Path, cache: Path, *overrides: str) -> RunConfig:
    """Compose a point from overrides."""
    GlobalHydra.instance().clear()
    words = [f"runtime.store={store}", f"runtime.cache={cache}", "runtime.threads=1"]
    words += ["runtime.wandb.mode=disabled", "runtime.progress=false"]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("config", overrides=[*words, *overrides])
    cfg.runtime.point.uses_lora = door.takes_rank(cfg)
    return door.to_run_config(cfg)


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One store for the runs of these tests; who changes a run makes one of its own."""
    return Store(tmp_path_factory.mktemp("shelf") / "store")


@pytest.fixture(scope="session")
def finished(shelf: Store, cache: Path) -> Callable[..., RunRecord]:
    """Return the record of a point; it is carried out if it has not been."""

    def finish(*overrides: str, few: tuple[str, ...] = FEW) -> RunRecord:
        record = run(point(shelf.root, cache, *few, *overrides))
        assert record.status == "succeeded", record.failure
        return record

    return finish


@pytest.fixture
def tunesweep(shelf: Store, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Call the command on the shelf."""
    monkeypatch.setenv("TUNESWEEP_CACHE", str(cache))

    def call(*words: object, store: Path | None = None) -> Result:
        return CliRunner().invoke(app, [*map(str, words), "--store", str(store or shelf.root)])

    return call
