"""Sweeps as processes that are killed, interrupted, or run side by side on one store."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tunesweep.store import Store

ROOT = Path(__file__).parents[2]
EPOCHS = 40
LINE = re.compile(r"\[\d/\d\] .*seed=(\d): epoch (\d+) of")
WORDS = [
    *("-m", "model=logistic", "method=full", "dataset=digits", "train.batch_size=64"),
    *("dataset.limit.train=64", "dataset.limit.test=64", "dataset.limit.select=32", f"train.epochs={EPOCHS}"),
    *("runtime.wandb.mode=disabled", "runtime.device=cpu", "runtime.threads=1"),
]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def start(store: Store, *words: str) -> subprocess.Popen[str]:
    """Start a sweep whose output can be read line by line."""
    place = [f"runtime.store={store.root}", f"hydra.sweep.dir={store.root.parent / 'hydra'}"]
    return subprocess.Popen(
        [sys.executable, "-u", str(ROOT / "train.py"), *WORDS, *words, *place],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=store.root.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def wait_for(process: subprocess.Popen[str], seed: str, epoch: str) -> None:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if (found := LINE.match(line)) and found.groups() == (seed, epoch):
            return
    pytest.fail(f"seed {seed} never came to epoch {epoch}: {''.join(lines)}")


def trained(output: str) -> list[tuple[str, str]]:
    """Return the seed and epoch of every epoch that was trained."""
    return [found.groups() for line in output.splitlines() if (found := LINE.match(line))]


def epochs_of(*seeds: str) -> list[tuple[str, str]]:
    return [(seed, str(epoch)) for seed in seeds for epoch in range(1, EPOCHS + 1)]


def worker_of(process: subprocess.Popen[str]) -> psutil.Process:
    """Return the worker that carries out a sweep's points."""
    children = psutil.Process(process.pid).children()
    (worker,) = [child for child in children if "tunesweep.sweep.worker" in child.cmdline()]
    return worker


def texts(store: Store) -> dict[str, str]:
    return {path.name: path.read_text() for path in store.root.glob("records/*.json")}


@pytest.mark.slow  # tests/torture kills sweeps in small
def test_after_kill_9_in_the_third_point_only_what_is_missing_is_trained(store: Store) -> None:
    with start(store, "seed=0,1,2,3") as process:
        wait_for(process, seed="2", epoch="2")
        worker = worker_of(process)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    worker.wait(20)  # it does not go on alone
    before = texts(store)
    assert [record.config["seed"] for record in sorted(store.records(), key=lambda r: r.name)] == [0, 1]
    assert list(store.root.glob("work/*"))  # what the third point had begun

    again = start(store, "seed=0,1,2,3")
    output, _ = again.communicate()
    assert again.returncode == 0, output
    assert trained(output) == epochs_of("2", "3")
    assert "2 finished, 2 to do" in output
    after = texts(store)
    assert {name: after[name] for name in before} == before  # times and all
    newer = [record.started for record in store.records() if record.config["seed"] > 1]
    assert min(newer) >= max(record.finished for record in store.records() if record.config["seed"] < 2)
    assert sorted(record.config["seed"] for record in store.records()) == [0, 1, 2, 3]
    assert {record.status for record in store.records()} == {"succeeded"}
    assert not list(store.root.glob("work/*"))


@pytest.mark.parametrize("sign", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_after_a_signal_in_a_point_it_is_interrupted_and_the_rest_is_shown(
    store: Store, sign: signal.Signals
) -> None:
    with start(store, "seed=0,1,2") as process:
        wait_for(process, seed="1", epoch="2")
        process.send_signal(sign)
        assert process.stdout is not None
        output = process.stdout.read()
    assert process.returncode == 130, output
    found = {
        record.config["seed"]: (record.failure or {}).get("class", record.status)
        for record in store.records()
    }
    assert found == {0: "succeeded", 1: "interrupted"}
    assert "the same command goes on from there" in output
    assert "Written:" in output
    assert "Traceback" not in output


def test_two_sweeps_at_once_train_every_point_once(store: Store) -> None:
    both = [start(store, "seed=0,1,2,3"), start(store, "seed=3,2,1,0")]
    outputs = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert sorted(trained("".join(outputs))) == sorted(epochs_of("0", "1", "2", "3"))
    assert sorted(record.config["seed"] for record in store.records()) == [0, 1, 2, 3]
    assert {record.status for record in store.records()} == {"succeeded"}
    assert len(store.sweeps()) == 1
    assert not [path for path in store.root.rglob("*") if path.name.endswith((".part", ".broken"))]


@pytest.mark.slow  # tests/faults has a quick one
def test_a_killed_worker_costs_an_attempt_and_no_result(store: Store) -> None:
    with start(store, "seed=0,1") as process:
        wait_for(process, seed="0", epoch="2")
        worker_of(process).kill()
        assert process.stdout is not None
        output = process.stdout.read()
    assert process.returncode == 0, output
    assert "seed=0: its worker was ended by SIGKILL" in output
    assert "it is tried again" in output
    assert {(r.status, r.runtime["executor"]) for r in store.records()} == {("succeeded", "worker")}
    assert len(store.records()) == 2


REVIEWS = (
    *("model=random_bert", "train.precision=fp32", "train.epochs=1", "seed=3", "runtime.threads=1"),
    *("dataset.limit.train=64", "dataset.limit.test=32", "dataset.limit.select=16"),
    *("runtime.wandb.mode=disabled", "runtime.device=cpu"),
)


@pytest.mark.slow
def test_a_warm_worker_comes_to_the_numbers_of_a_cold_one_and_of_no_worker(store: Store) -> None:
    found = []
    for name, words in enumerate(
        (["method=full,lora"], ["method=lora"], ["method=lora", "hydra/launcher=basic"])
    ):
        own = Store(store.root / f"{name}")
        place = [f"runtime.store={own.root}", f"hydra.sweep.dir={own.root}/hydra"]
        command = [sys.executable, str(ROOT / "train.py"), *REVIEWS, *words, *place]
        subprocess.run(command, check=True, cwd=store.root.parent)
        found.append({record.run_id: (record.metrics, record.history) for record in own.records()})
    (name_of_lora,) = found[1]
    assert len(found[0]) == 2
    assert found[0][name_of_lora] == found[1][name_of_lora] == found[2][name_of_lora]
