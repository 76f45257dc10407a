"""`tunesweep extend`: the words of a sweep's command with more values on an axis."""

from __future__ import annotations

import json
import sys

import pytest
from typer.testing import CliRunner

from golden_store import SWEEP
from tunesweep import train
from tunesweep.care.extend import command as words_of
from tunesweep.cli import app
from tunesweep.errors import BadConfig
from tunesweep.store import Store


def test_old_and_new_values_stand_in_the_command(store: Store) -> None:
    found = words_of(store, SWEEP, ["method=dora", "runtime.device=auto"])
    old = json.loads(store.path("sweeps", SWEEP).read_text())["command"]
    assert found[:4] == ["model=random_bert", *old[2:5]]
    assert found[-4:] == [
        "method=lora,head_only,dora",
        "runtime.device=auto",
        f"runtime.store={store.root}",
        f"runtime.extends={SWEEP}",
    ]
    assert len([word for word in found if word.startswith("runtime.store=")]) == 1


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("seed=0,1", "seed=3,4", "seed=0,1,3,4"),
        ("seed=range(0,3)", "seed=3", "seed=0,1,2,3"),
        ("dataset.name=x", "seed=3", "seed=0,3"),  # the members' own
        ("++lora.r=4", "lora.r=8", "++lora.r=4,8"),
        ("model.name='a,b',c", "model.name='d,e'", "model.name='a,b',c,'d,e'"),
        ("train.x=[1,2],[3]", "train.x=[4,5]", "train.x=[1,2],[3],[4,5]"),
    ],
)
def test_an_axis_is_written_as_it_was(store: Store, old: str, new: str, found: str) -> None:
    points = {"a": {"config": {"seed": 0}}}
    store.put_sweep("s", {"sweep_id": "s", "command": [old], "members": ["a"], "points": points})
    assert found in words_of(store, "s", [new])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "0 axes in nothing: give one, as in seed=3,4"),
        (["seed=1", "lora.r=4"], "2 axes in seed=1 lora.r=4: give one"),
        (["seed=0,3"], "seed=0 is in the sweep already: give new values alone"),
        (["train.nothing=3"], "which train.nothing the members of the sweep have is not known"),
    ],
)
def test_what_is_no_axis_is_said(store: Store, words: list[str], sentence: str) -> None:
    with pytest.raises(BadConfig, match=sentence):
        words_of(store, SWEEP, words)


def test_the_command_hands_its_words_to_train(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(train, "main", lambda: seen.append(list(sys.argv)))
    monkeypatch.setattr(sys, "argv", ["tunesweep"])
    result = CliRunner().invoke(
        app, ["extend", SWEEP, "seed=3", "--store", str(store.root), "--config-dir", "mine"]
    )
    assert result.exit_code == 0, result.output
    assert seen == [["train.py", "--config-dir", "mine", *words_of(store, SWEEP, ["seed=3"])]]
    assert "seed=0,3" in result.stderr


def test_an_unknown_sweep_is_said(store: Store) -> None:
    result = CliRunner().invoke(app, ["extend", "nope", "seed=3", "--store", str(store.root)])
    assert result.exit_code == 1
    assert f"{SWEEP} (2026-11-28T15:05: model=random_bert" in result.stderr
