"""`tunesweep verify --rescore`: the recorded score comes back from the artefact, or one hears of it."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

from serving.test_predict import RUN
from tunesweep.errors import IntegrityError
from tunesweep.serving.rescore import largest_change
from tunesweep.store import Store


@pytest.fixture
def copy(finished: Any, shelf: Store, tmp_path: Path) -> Any:
    """A run in a store of its own, which a test may break."""
    run = finished(*RUN)
    store = Store(tmp_path / "store")
    for kind in ("records", "predictions", "adapters"):
        place = shelf.path(kind, run.run_id)
        target = store.path(kind, run.run_id)
        target.parent.mkdir(parents=True)
        (shutil.copytree if place.is_dir() else shutil.copy2)(place, target)
    return run, store


def rescored(tunesweep: Any, store: Store, *names: object) -> tuple[int, str, list[str]]:
    result = tunesweep("verify", "--rescore", *names, store=store.root)
    return result.exit_code, result.stdout, result.stderr.splitlines()


def test_the_recorded_results_come_back(copy, tunesweep):
    run, store = copy
    status, said, problems = rescored(tunesweep, store, run.run_id)
    assert (status, problems) == (0, [])
    score = run.metrics["test"]["accuracy"]
    assert said.startswith(f"ok: run {run.run_id}: accuracy {score:.4f} again, on 16 examples")
    status, machine, _ = rescored(tunesweep, store, run.run_id, "--json")
    assert (status, json.loads(machine)) == (0, {"holds": [said.strip()], "problems": []})


def trust(store: Store, run_id: str, path: Path) -> None:
    """Make a changed file the one that the record means: only its results can betray it now."""
    record = store.get(run_id)
    record.integrity["files"][store.relative(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    store.put(record)


def test_other_weights_are_found_out(copy, tunesweep):
    run, store = copy
    path = store.path("adapters", run.run_id) / "adapter_model.safetensors"
    tensors = {name: tensor * 0.5 if "lora_B" in name else tensor for name, tensor in load_file(path).items()}
    save_file(tensors, path)
    status, said, problems = rescored(tunesweep, store, run.run_id)
    assert (status, said) == (1, "")
    assert "has other content than when it was written" in problems[0]
    trust(store, run.run_id, path)
    status, said, problems = rescored(tunesweep, store, run.run_id)
    assert (status, said, len(problems)) == (1, "", 1)
    assert f"run {run.run_id} gives other results than recorded" in problems[0]


def test_one_prediction_that_differs_is_found_out(copy, tunesweep):
    run, store = copy
    path = store.path("predictions", run.run_id)
    frame = pd.read_parquet(path)
    frame.loc[5, ["p:fresh", "p:rotten"]] = frame.loc[5, ["p:rotten", "p:fresh"]].to_numpy()
    frame.to_parquet(path)
    assert "gives other results than recorded" in rescored(tunesweep, store, run.run_id)[2][0]


def test_answers_in_words_are_compared_letter_by_letter():
    stored = {"id": ["a", "b"], "prediction": ["x", "y"], "text": ["x", "y z"]}
    assert largest_change(stored, dict(stored), "r") == 0.0
    with pytest.raises(IntegrityError, match="1 of 2 values of 'text' differ, example b first"):
        largest_change(stored, stored | {"text": ["x", "y  z"]}, "r")
    sure = {"id": ["a", "b"], "prediction": ["x", "y"], "p:x": [0.5, 0.1]}
    assert largest_change(sure, sure | {"p:x": [0.4, 0.1], "prediction": ["y", "y"]}, "r") == pytest.approx(
        0.1
    )


def test_a_run_without_weights_is_one_sentence(copy, tunesweep):
    run, store = copy
    shutil.rmtree(store.path("adapters", run.run_id))
    status, _, problems = rescored(tunesweep, store, run.run_id)
    assert (status, len(problems)) == (1, 1)
    assert "kept no weights" in problems[0]
    assert "runtime.keep=adapter" in problems[0]
