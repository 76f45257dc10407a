"""The page of performance is made from what benchmarks found, and the benchmark of GPUs runs anywhere."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PLACE = {"device": "a CPU", "cores": 2, "threads": 1, "commit": "0123456789abcdef"}
VERSIONS = {"versions": {"torch": "1", "transformers": "2", "peft": "3"}}
STEP = {"seconds_ours": 0.25, "seconds_bare": 0.2, "ratio": 1.25, "pairs": [1.2, 1.3], "limit": 1.5}


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "docs")
    spec = importlib.util.spec_from_file_location("make_performance", ROOT / "docs" / "make_performance.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    return module


def measured(day: int, **found: Any) -> dict[str, Any]:
    return {"measured": f"2026-01-{day:02}T00:00:00+00:00", **PLACE, **VERSIONS, **found}


def write(folder: Path, name: str, *found: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(list(found)))
    return folder


def test_a_page_shows_the_last_measurement_and_the_figure_of_those_before(
    maker: ModuleType, tmp_path: Path
) -> None:
    maker.take(write(tmp_path / "new", "step", measured(1, **STEP), measured(2, **STEP | {"ratio": 1.1})))
    page = maker.page()
    assert "| ours over bare | 1.10 (1.20 to 1.30), limit 1.5 |" in page
    assert "- 2026-01-01, a CPU, 2 cores, 1 threads: 1.25" in page
    assert "commit 0123456789" in page
    assert "## Label words" not in page  # never measured


def test_what_is_taken_over_twice_stands_there_once(maker: ModuleType, tmp_path: Path) -> None:
    for _ in range(2):
        maker.take(write(tmp_path / "new", "step", measured(2, **STEP)))
    maker.take(write(tmp_path / "new", "step", measured(1, **STEP)))
    assert [found["measured"][:10] for found in maker.history("step")] == ["2026-01-01", "2026-01-02"]


@pytest.mark.slow
def test_the_benchmark_of_gpus_runs_on_a_cpu_too(tmp_path: Path) -> None:
    words = [str(ROOT / "benchmarks" / "gpu.py"), "--model", "tiny", "--rounds", "2", "--steps", "3"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (found,) = json.loads((tmp_path / "multirun" / "benchmarks" / "gpu.json").read_text())
    assert all(found[f"seconds_{way}"] > 0 for way in ("bare", "lightning", "trainer", "together"))
    assert len(found["apart_over_together"]["pairs"]) == 2
