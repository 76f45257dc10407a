"""An experiment whose second block starts from its first, carried out for real on small digits."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from command_line import CommandLine
from tunesweep.point import run
from tunesweep.record import RunRecord

COMMON = (
    "dataset=digits, dataset.limit.train=300, dataset.limit.test=100, dataset.limit.select=50, "
    "model=mlp, 'model.hidden=[32,16]', train.precision=fp32"
)
NINES = "lora.r=1, lora.targets=all_linear, \"dataset.train_classes=['9']\""
BLOCKS = f"""
blocks:
  - {{label: nines, points: [method=lora, {NINES}, model.init_from=base, train.epochs=2, {COMMON}]}}
  - {{label: base, points: [method=full, train.epochs=8, train.lr=0.01, {COMMON}]}}
"""


@pytest.fixture
def study(command: CommandLine, experiment: Callable[[str], None]) -> CommandLine:
    """Return the command line on which points are trained, with an experiment in two stages."""
    experiment(BLOCKS)
    command.task = run
    return command


def by_method(command: CommandLine) -> dict[str, RunRecord]:
    return {record.config["method"]["name"]: record for record in command.store.records()}


def test_the_second_block_begins_where_the_first_one_ended(study: CommandLine) -> None:
    out = study("experiment=mine", "runtime.threads=1")
    assert out.status == 0, out.said
    base, nines = by_method(study)["full"], by_method(study)["lora"]
    assert nines.config["model"]["init_from"] == base.run_id
    assert base.metrics["test"]["accuracy"] > 0.5  # ten classes: it has learned
    assert nines.metrics["before"]["accuracy"] == base.metrics["test"]["accuracy"]
    assert nines.metrics["before"]["confusion"] == base.metrics["test"]["confusion"]
    assert study("experiment=mine", "runtime.threads=1").ran == []


def test_a_source_that_diverges_fails_what_starts_from_it(study: CommandLine) -> None:
    out = study("experiment=mine", "train.lr=1e30", "train.clip=null", "runtime.threads=1")
    found = {name: (record.failure or {})["class"] for name, record in by_method(study).items()}
    assert found == {"full": "diverged", "lora": "source failed"}
    assert out.status == 1
    assert [config.method.name for config in out.ran] == ["full"]
