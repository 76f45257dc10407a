"""`tunesweep serving`: N whole models against one base with N adapters, by files and by measured swaps."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from serving.test_predict import BERT, RUN
from tunesweep.serving import comparison, measure
from tunesweep.store import Store


@pytest.fixture(scope="session")
def adapters(finished: Any) -> list[Any]:
    """Two tasks: of two classes, and of ten."""
    digits = ("dataset=digits", "encoding=binary_flat", "encoding.max_length=96", "method=lora", "lora.r=4")
    return [finished(*RUN), finished(*BERT, *digits)]


@pytest.fixture(scope="session")
def compared(adapters: list[Any], shelf: Store, cache: Path) -> comparison.Comparison:
    """Measured in this process, which costs the libraries no second start; its memory means nothing."""
    ids = [run.run_id for run in adapters]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            comparison, "_measured", lambda plan: asdict(measure.measure(measure.Plan(**plan, rounds=3)))
        )
        patch.setenv("TUNESWEEP_CACHE", str(cache))
        return comparison.compare(shelf, ids)


def check(found: comparison.Comparison, adapters: list[Any], shelf: Store) -> None:
    copies, parts = found.ways
    files = [shelf.path("adapters", run.run_id) / "adapter_model.safetensors" for run in adapters]
    whole = sum(run.parameters["total"] - run.parameters["adapter"] for run in adapters)
    assert whole * 4 < copies.disk_bytes < whole * 4 * 1.05  # 32-bit weights, and a header
    own = sum(path.stat().st_size for path in files)
    assert own < parts.disk_bytes - copies.disk_bytes / 2 < own + 200_000
    assert parts.swap_s < copies.swap_s
    assert found.largest_difference < 1e-4
    heads = [load_file(path) for path in files]
    assert [len(next(v for k, v in h.items() if "classifier.bias" in k)) for h in heads] == [2, 10]


def test_both_ways_take_what_their_files_take_and_answer_alike(compared, adapters, shelf):
    check(compared, adapters, shelf)


@pytest.mark.slow
def test_memory_is_measured_in_processes_of_their_own(adapters, tunesweep, shelf):
    result = tunesweep("serving", *(run.run_id for run in adapters), "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    ways = [comparison.Way(**way) for way in told.pop("ways")]
    check(comparison.Comparison(**told, ways=ways), adapters, shelf)
    weights = [4 * run.parameters["total"] for run in adapters]
    assert ways[0].memory_bytes > 0.9 * sum(weights)
    assert 0.9 * weights[0] < ways[1].memory_bytes < ways[0].memory_bytes


def test_the_table_is_kept_as_markdown(compared, adapters, tunesweep, shelf, monkeypatch):
    monkeypatch.setattr(comparison, "compare", lambda *_: compared)
    result = tunesweep("serving", *(run.run_id for run in adapters))
    assert result.exit_code == 0, result.stderr
    path = next((shelf.root / "reports").glob("serving-*.md"))
    text = path.read_text()
    assert f"| one base and N adapters | {compared.ways[1].disk_bytes / 1e6:,.1f} MB |" in text
    assert f"Written: {path}" in result.stdout
    assert all(run.run_id in text for run in adapters)


def test_what_cannot_be_compared_is_one_sentence(finished, adapters, tunesweep):
    alone = tunesweep("serving", adapters[0].run_id)
    assert (alone.exit_code, "1 runs make no comparison" in alone.stderr) == (1, True)
    other = finished(*BERT, "method=bottleneck", "readout=linear")
    odd = tunesweep("serving", adapters[0].run_id, other.run_id)
    assert (odd.exit_code, "is no adapter that becomes part of its base" in odd.stderr) == (1, True)
