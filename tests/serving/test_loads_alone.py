"""Every artefact loads in a new process, without this project, by the lines of its card: it says the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from serving.conftest import FEW, point
from serving.test_predict import BERT, LOUD, RUN
from tunesweep.data import readers
from tunesweep.models import sources
from tunesweep.models.random_models import drawn
from tunesweep.models.tokenizer import load_tokenizer
from tunesweep.serving import loading
from tunesweep.store import Store

ALONE = Path(__file__).parent / "alone.py"
LLAMA = ("model=random_llama", LOUD)
T5 = ("model=random_t5", "+model.architecture.initializer_factor=2.0")
FAST = {
    "peft and merged, head": RUN,
    "safetensors, layers and head of ours": (*BERT, "method=bottleneck", "readout=linear"),
}
SLOW = {
    "virtual tokens, label words of a decoder": (*LLAMA, "method=prompt_tuning", "readout=label_words"),
    "written by an encoder-decoder": (*T5, "method=ia3", "readout=generate", "readout.max_new_tokens=4"),
}
READOUTS = ("head", "linear", "label_words", "generate")
METHODS = (
    *("full", "head_only", "bitfit", "lora", "dora", "qlora", "ia3", "vera", "adalora"),
    *("prefix_tuning", "p_tuning", "prompt_tuning", "bottleneck"),
)


def cells_of(method: str, cache: Path, store: Path) -> dict[str, tuple[str, ...]]:
    """Return a method on each family with a readout that takes turns; LoRA with all of them."""
    cells, number = {}, METHODS.index(method)
    for place, model in enumerate((BERT, LLAMA, T5)):
        turns = [READOUTS[(number + place + i) % len(READOUTS)] for i in range(len(READOUTS))]
        possible = dict(cell_of(method, model, readout) for readout in turns)
        possible = {name: cell for name, cell in possible.items() if allowed(cell, cache, store)}
        cells |= dict(list(possible.items())[: None if method == "lora" else 1])
    return cells


def cell_of(method: str, model: tuple[str, ...], readout: str) -> tuple[str, tuple[str, ...]]:
    more = ("readout.max_new_tokens=4",) if readout == "generate" else ()
    name = f"{method}, {model[0].removeprefix('model=random_')}, {readout}"
    return name, (*model, f"method={method}", f"readout={readout}", *more)


def allowed(cell: tuple[str, ...], cache: Path, store: Path) -> bool:
    from tunesweep.capabilities import problems

    return not list(problems(point(store, cache, *FEW, *cell)))


class Job:
    """A run, exported, and what its file of predictions says."""

    def __init__(self, name: str, cell: tuple[str, ...], world: Any, folder: Path) -> None:
        finished, tunesweep, shelf, cache = world
        record = finished(*cell)
        self.name, to = name, folder / record.run_id
        result = tunesweep("export", record.run_id, "--to", to)
        assert result.exit_code == 0, f"{name}: {result.stderr}"
        places = [to] if (to / "README.md").exists() else sorted(to.iterdir())
        self.places = {json.loads((place / "tunesweep.json").read_text())["kind"]: place for place in places}
        self.figures = shelf.get(record.run_id).integrity.get("merge", {}).get("export", {})
        self.record, self.config = record, loading.config_of(shelf, record)
        self.stored = pd.read_parquet(shelf.root / record.artefacts["predictions"])
        self.texts, self.base = texts_of(self.config), base_of(self.config, cache)

    def jobs(self) -> list[dict[str, Any]]:
        return [
            {"folder": str(place), "base": self.base, "texts": self.texts} for place in self.places.values()
        ]

    def check(self, kind: str, answer: dict[str, Any]) -> None:
        assert "error" not in answer, f"{self.name}, {kind}: {answer.get('error')}"
        if "text" in self.stored:
            wrong = [a != b for a, b in zip(answer["results"], self.stored["text"], strict=True)]
            assert sum(wrong) == (self.figures["changed"] if kind == "merged" else 0), f"{self.name}, {kind}"
            return
        said = np.array(answer["results"])
        written = self.stored[[f"p:{name}" for name in self.record.data["labels"]]].to_numpy()
        change = np.abs(said - written).max()
        if kind == "merged":  # rounding to bf16 has been measured, and is all that may differ
            assert change == pytest.approx(self.figures["probability_change"], abs=2e-4), self.name
        else:
            assert change < 2e-4, self.name
        assert written.std(axis=0).max() > 5e-3, self.name  # a network that says one thing proves nothing


def texts_of(config: Any) -> list[Any]:
    """Return the test split's inputs, as a user has them."""
    return list(readers.load(config.dataset, config.seeds.split).test.inputs)


def base_of(config: Any, cache: Path) -> str:
    if config.model.random:
        return str(drawn(config.model, load_tokenizer(config.model, cache), config.seeds.init, cache))
    return str(sources.locate(config.model))


def pairs(folder: Path) -> tuple[str, ...]:
    rows = [("a man sleeps", f"nobody is awake {i}", "yes" if i % 3 else "no") for i in range(90)]
    path = folder / "pairs.csv"
    pd.DataFrame(rows, columns=["text", "other", "label"]).to_csv(path, index=False)
    return (f"dataset.train={path}", "dataset.text_pair=other")


def run_alone(jobs: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    (folder / "jobs.json").write_text(json.dumps(jobs))
    command = [sys.executable, str(ALONE), str(folder / "jobs.json"), str(folder / "answers.json")]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": ""}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "answers.json").read_text())


def check_all(cells: dict[str, tuple[str, ...]], world: Any, folder: Path) -> set[str]:
    """Export all, ask them in one new process, compare; return which kinds of artefact there were."""
    runs = [Job(name, cell, world, folder) for name, cell in cells.items()]
    answers = iter(run_alone([job for run in runs for job in run.jobs()], folder))
    for run in runs:
        for kind in run.places:
            run.check(kind, next(answers))
    return {kind for run in runs for kind in run.places}


@pytest.fixture
def world(finished: Any, tunesweep: Any, shelf: Store, cache: Path) -> Any:
    return finished, tunesweep, shelf, cache


@pytest.mark.slow  # fresh processes, one a kind
def test_an_artefact_of_every_kind_loads_alone(world, tmp_path):
    assert check_all(FAST, world, tmp_path) == {"adapter", "merged"}


@pytest.mark.slow
def test_prompts_pairs_and_houlsby_layers_load_alone(world, tmp_path):
    pair = ("dataset=files", "encoding=pair", *pairs(tmp_path))
    houlsby = ("method=bottleneck", "method.layers.placement=houlsby", "method.layers.activation=gelu")
    cells = SLOW | {"whole model": (*BERT, "method=full", *pair), "both places": (*BERT, *houlsby, *pair)}
    check_all(cells, world, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_loads_alone_with_every_family(world, cache, tmp_path, method):
    cells = cells_of(method, cache, tmp_path)
    assert len(cells) >= {"lora": 11, "bitfit": 1}.get(method, 2)  # T5 and Llama have no biases
    check_all(cells, world, tmp_path)
