"""A run that starts from another: with its adapter switched off, the other is back, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import binomtest

import samples
from test_fresh import QUICK, carried_out
from tunesweep import fresh, integrity
from tunesweep.config import RunConfig
from tunesweep.errors import IntegrityError
from tunesweep.point import run
from tunesweep.record import RunRecord
from tunesweep.tasks.task import Scored
from workplace import attached, tiny, trained

Make = Callable[..., RunConfig]


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh, "_BEFORE", {})


@pytest.fixture
def point(make_config: Make, tmp_path: Path) -> Make:
    """A small random encoder on a few films."""
    return lambda *words: make_config(*tiny("random_bert"), *samples.films(tmp_path), *QUICK, *words)


DIGITS = (
    *("dataset=digits", "dataset.test_fraction=0.3", "model=mlp", "model.hidden=[32,16]"),
    *("train.precision=fp32", "train.epochs=4", "runtime.keep=all"),
)
NINES = ("method=lora", "lora.r=1", "lora.targets=all_linear", "dataset.train_classes=['9']", "train.lr=0.03")


@pytest.fixture
def nines(make_config: Make) -> tuple[RunRecord, RunConfig]:
    """A perceptron that knows all digits, and a point that goes on with the nines alone."""
    base = carried_out(make_config(*DIGITS, "method=full", "train.lr=3e-3"))
    return base, make_config(*DIGITS, *NINES, f"model.init_from={base.run_id}")


def test_with_the_adapter_off_the_base_is_back(nines):
    base, config = nines
    record = carried_out(config)
    assert record.integrity["off_equals_base"] is True
    assert "off_equals_base" not in base.integrity
    # The base's own run has said what the base says: here it is again.
    before = record.metrics["before"]
    assert {key: before[key] for key in before} == {key: base.metrics["test"][key] for key in before}
    said = pd.read_parquet(Path(config.runtime.store) / base.artefacts["predictions"])
    nine, called = said["label"] == "9", said["prediction"] == "9"
    figures = record.metrics["specialisation"]
    assert figures["errors_off"] == (nine & ~called).sum()
    assert figures["false_positives_off"] == (called & ~nine).sum()
    assert figures["overall_off"] == pytest.approx((said["label"] == said["prediction"]).mean())
    assert figures["false_positives"] > figures["false_positives_off"]  # it has learned to say nine
    now = pd.read_parquet(Path(config.runtime.store) / record.artefacts["predictions"])
    hits = int(((now["label"] == "9") & (now["prediction"] == "9")).sum())
    # Whether it learned is asked of the nines alone, by the interval of their share.
    low = binomtest(hits, int(nine.sum())).proportion_ci(method="wilson").low
    assert record.metrics["learned"] is bool((nine & called).sum() / nine.sum() < low)


def test_an_adapter_that_cannot_be_switched_off_is_noticed(nines, monkeypatch):
    _, config = nines
    monkeypatch.setattr(fresh, "off", lambda _: nullcontext())
    record = run(config)
    assert record.failure is not None
    assert record.failure["class"] == "integrity"
    assert "with the adapter switched off, the network gives other logits" in record.failure["message"]


def test_one_bit_in_one_answer_is_noticed():
    base = Scored({}, {"text": ["a", "b"]}, {"nll": np.array([1.0, 2.0])})
    assert integrity.check_off(Scored({}, {"text": ["a", "b"]}, {"nll": np.array([1.0, 2.0])}), base) is True
    for text, nll, said in ((["a", "c"], 2.0, "other text"), (["a", "b"], np.nextafter(2.0, 3), "other nll")):
        with pytest.raises(IntegrityError, match=said):
            integrity.check_off(Scored({}, {"text": text}, {"nll": np.array([1.0, nll])}), base)


@pytest.mark.parametrize(
    ("words", "classes"),
    [
        (("method=lora", "readout=linear"), 2),  # a head of ours, which PEFT does not switch off
        (("method=bottleneck", "readout=head"), 2),  # the architecture's own, without PEFT
        (("method=lora", "readout=head"), 3),  # a new one, for other classes than the base's
        (("method=lora", "readout=linear"), 3),
    ],
)
def test_with_the_adapter_off_the_head_is_the_bases_too(make_config, tmp_path, words, classes):
    own = (*tiny("random_bert"), *QUICK, "lora.targets=query_value", "dataset.limit.train=16")
    readout = next(word for word in words if word.startswith("readout"))
    base = carried_out(
        make_config(*own, *samples.films(tmp_path), readout, "method=full", "runtime.keep=all")
    )
    data = samples.films(tmp_path, classes=("good", "bad", "mixed")[:classes])
    config = make_config(*own, *data, *words, f"model.init_from={base.run_id}")
    record = carried_out(config)
    assert record.integrity["off_equals_base"] is True
    assert record.integrity["head_change"] > 0
    assert any("the head is new" in line for line in record.warnings) is (classes == 3)


def test_written_answers_are_the_bases_too(make_config, tmp_path):
    own = (*tiny("random_llama"), *samples.answers(tmp_path), *QUICK, "dataset.limit.train=16")
    base = carried_out(make_config(*own, "method=full", "runtime.keep=all"))
    record = carried_out(make_config(*own, "method=lora", f"model.init_from={base.run_id}"))
    assert record.integrity["off_equals_base"] is True
    assert record.metrics["before"]["unreadable"] == base.metrics["test"]["unreadable"]


def test_looking_at_the_base_leaves_the_learned_head(point):
    with trained(point("method=lora", "readout=linear")) as work:
        work.config.model.init_from = "0123456789abcdef"  # as if it were
        learned = {name: p.detach().clone() for name, p in work.network.named_parameters()}
        off = fresh.switched_off(work.network, work.untrained, work.config, work.task)
        assert off is not None
        assert not np.array_equal(off.seen["logits"], work.scored.seen["logits"])
        assert all(torch.equal(p, learned[name]) for name, p in work.network.named_parameters())


def test_only_the_head_is_forgotten_before_a_reload(point):
    with attached(point("method=full", "readout=head")) as work:
        before = {name: p.detach().clone() for name, p in work.network.named_parameters()}
        fresh.forget_head(work.network, work.config)
        odd = {n for n, p in work.network.named_parameters() if not torch.equal(p, before[n])}
    assert odd == {
        f"body.{part}.{kind}" for part in ("classifier", "bert.pooler.dense") for kind in ("weight", "bias")
    }
