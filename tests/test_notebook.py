"""The notebook of the documentation, cell by cell, on a store that was drawn."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest

from tunesweep.store import Store

DOCS = Path(__file__).parents[1] / "docs"
NOTEBOOK = json.loads((DOCS / "read_a_store.ipynb").read_text())
CELLS = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


@pytest.fixture
def scope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the names that the cells leave, carried out in a folder with a store."""
    import matplotlib

    monkeypatch.setattr(sys, "path", [str(DOCS), *sys.path])
    import drawn_store

    drawn_store.fill(Store(tmp_path / "multirun"))
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    found: dict[str, Any] = {}
    for number, cell in enumerate(CELLS):
        exec(compile(cell, f"cell {number}", "exec"), found)
    yield found
    found["plt"].close(found["figure"])


def test_the_curve_shows_the_means_of_the_records(scope: dict[str, Any], tmp_path: Path) -> None:
    scores: dict[tuple[str, float], list[float]] = {}
    for record in Store(tmp_path / "multirun").each():
        key = (record.config["method"]["name"], record.config["train"]["lr"])
        scores.setdefault(key, []).append(record.main_metric)
    axes = scope["axes"]
    assert axes.get_xscale() == "log"
    assert axes.get_ylabel() == "accuracy on test"
    handles, labels = axes.get_legend_handles_labels()
    assert labels == ["bitfit", "lora", "prefix_tuning"]
    for handle, method in zip(handles, labels, strict=True):
        rates = sorted(rate for name, rate in scores if name == method)
        line, caps, _ = handle.lines
        assert list(line.get_xdata()) == rates
        assert line.get_ydata() == pytest.approx([mean(scores[method, rate]) for rate in rates])
        spread = [stdev(scores[method, rate]) for rate in rates]
        assert caps[1].get_ydata() - line.get_ydata() == pytest.approx(spread)


def test_two_runs_of_two_methods_are_compared(scope: dict[str, Any]) -> None:
    assert len(scope["best"]) == 3
    first, second = scope["found"]["runs"]
    assert first.split("-")[0] != second.split("-")[0]
    assert scope["found"]["metrics"][0]["first"] == scope["best"]["score"].iloc[0]


def test_it_holds_no_output_of_anybodys_machine_and_its_links_lead_somewhere() -> None:
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in NOTEBOOK["cells"])
    ids = [cell["id"] for cell in NOTEBOOK["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in NOTEBOOK["cells"]:
        for target in re.findall(r"\]\(([^)]+)\)", "".join(cell["source"])):
            assert (DOCS / target).exists()
