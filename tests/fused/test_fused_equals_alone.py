"""A run in a group is the run that it would have been alone (R9 to R11 hold for each, too)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pairs
import pytest
import torch

import samples
from tunesweep.config import WORKER, RunConfig
from tunesweep.fused import carry, probe
from tunesweep.fused.groups import divide
from tunesweep.fused.rules import why_alone
from tunesweep.models import language
from workplace import tiny

Make = Callable[..., RunConfig]
LIMITS = ("dataset.limit.train=36", "dataset.limit.select=6", "dataset.limit.test=6")
BUDGET = ("train.epochs=3", "train.batch_size=8", "train.lr=1e-2", "runtime.probe_steps=1")
DIFFERENT = {
    "lora": (
        "method=lora lora.r=1 seeds.data=1",
        "method=lora lora.r=4 lora.alpha=16 lora.dropout=0.3 train.lr=3e-2",
        "method=lora lora.r=8 lora.rslora=true train.schedule=cosine train.weight_decay=0.3",
        "method=lora lora.r=4 lora.dropout=0.3 seeds.data=2 train.clip=0.01",
    ),
    "mixed": (
        "method=dora lora.r=2 lora.dropout=0.2 seeds.data=1",
        "method=ia3 train.lr=3e-1",
        "method=head_only train.warmup=0.5 seeds.data=2",
        "method=lora lora.r=2 train.optimizer=adamw",
    ),
    "bitfit": ("method=bitfit", "method=bitfit train.lr=1e-1 seeds.data=1", "method=ia3", "method=head_only"),
}
NEAR = 1e-5
TENTH_OF_A_STEP = 1e-3  # AdamW divides by a gradient's own size: rounding of the smallest ones shows


def assert_equal(fused: pairs.Side, alone: pairs.Side, runs: tuple[str, ...]) -> None:
    """Compare epochs, predictions, saved weights and the scores of every run."""
    for place, line in enumerate(runs):
        one, other = fused.records[place], alone.records[place]
        assert (one.failure, other.failure) == (None, None), line
        assert one.runtime["executor"] == f"fused({len(runs)})"
        for mine, theirs in zip(one.history, other.history, strict=True):
            assert mine == pytest.approx(theirs, abs=NEAR, rel=NEAR), line
        assert fused.predictions(place) == alone.predictions(place), line
        mine, theirs = fused.weights(place), alone.weights(place)
        assert list(mine) == list(theirs)
        for name, tensor in theirs.items():
            # Softmax undoes a bias of the keys: its gradient is rounding alone, which AdamW scales up.
            if name.endswith("key.bias"):
                continue
            torch.testing.assert_close(
                mine[name], tensor, atol=TENTH_OF_A_STEP, rtol=1e-3, msg=f"{line}: {name}"
            )
        assert one.parameters == other.parameters


@pytest.mark.parametrize(
    ("readout", "kind"),
    [
        ("head", "lora"),
        ("head", "mixed"),
        ("linear", "mixed"),
        pytest.param("head", "bitfit", marks=pytest.mark.slow),
        pytest.param("linear", "lora", marks=pytest.mark.slow),
        pytest.param("linear", "bitfit", marks=pytest.mark.slow),
    ],
)
def test_losses_predictions_and_weights_are_those_of_separate_runs(
    make_config: Make, tmp_path: Path, kind: str, readout: str
) -> None:
    runs = DIFFERENT[kind]
    shared = (*tiny("random_bert"), *samples.films(tmp_path), *LIMITS, *BUDGET, f"readout={readout}")
    fused, alone = pairs.both(make_config, tmp_path, shared, runs)
    assert not carry.dissolved
    assert_equal(fused, alone, runs)


@pytest.mark.parametrize(
    "words",
    [samples.answers, *(pytest.param(w, marks=pytest.mark.slow) for w in (samples.counting, samples.sums))],
)
def test_so_are_those_of_a_decoder_that_writes(make_config: Make, tmp_path: Path, words: Any) -> None:
    runs = ("method=lora lora.r=1 seeds.data=1", "method=lora lora.r=4 train.lr=3e-2", "method=ia3")
    shared = (*tiny("random_llama"), *words(tmp_path), *BUDGET, "runtime.micro_batch=3")
    make: Make = make_config
    fused, alone = pairs.both(make, tmp_path, shared, runs)
    for one, other in zip(fused.records, alone.records, strict=True):
        assert (one.failure, other.failure) == (None, None)
        for mine, theirs in zip(one.history, other.history, strict=True):
            assert mine == pytest.approx(theirs, abs=NEAR, rel=NEAR)
        assert one.main_metric == pytest.approx(other.main_metric, rel=NEAR)


@pytest.mark.parametrize("model", ["random_llama", "random_bert"])
@pytest.mark.parametrize("last", ["method=lora lora.r=4 train.lr=3e-2", "method=ia3 seeds.data=2"])
def test_so_are_those_of_label_words(
    make_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, last: str
) -> None:
    monkeypatch.setattr(language, "SAVED", 1)  # alone, whatever begins alike is read once
    runs = ("method=lora lora.r=1 seeds.data=1", last)
    shared = (*tiny(model), *samples.films(tmp_path), *LIMITS, *BUDGET, "readout=label_words")
    fused, alone = pairs.both(make_config, tmp_path, shared, runs)
    assert not carry.dissolved
    assert_equal(fused, alone, runs)


@pytest.mark.parametrize(
    ("more", "because"),
    [
        ((), None),
        (("readout.calibration=pmi",), "readout.calibration asks about prompts of its own"),
        (("method.shots.k=2",), "method.shots puts examples of its own before the prompts"),
    ],
)
def test_what_reads_more_than_its_rows_goes_alone(make_config: Make, more: Any, because: str | None) -> None:
    words = ("method=lora", "readout=label_words", "runtime.fuse=auto", *more)
    config = make_config(*tiny("random_llama"), *words)
    config.runtime.point.executor = WORKER
    assert why_alone(config) == because


@pytest.mark.slow
def test_heads_of_several_seeds_are_each_seeds_own(make_config: Make, tmp_path: Path) -> None:
    runs = (
        "method=lora seed=0 lora.dropout=0.1",
        "method=lora seed=1 lora.dropout=0.1",
        "method=bitfit seed=2",
    )
    shared = ("model=minilm", "train.precision=fp32", *samples.films(tmp_path), *LIMITS, *BUDGET[1:])
    shared = (*shared, "train.epochs=1", "encoding.max_length=24")
    fused, alone = pairs.both(make_config, tmp_path, shared, runs)
    assert_equal(fused, alone, runs)


def test_four_bit_bases_are_shared_too(make_config: Make, tmp_path: Path) -> None:
    runs = ("method=qlora lora.r=2", "method=qlora lora.r=4 train.lr=3e-2 seeds.data=1")
    shared = (*tiny("random_llama"), "readout=head", *samples.films(tmp_path), *LIMITS, *BUDGET)
    shared = (*shared, "model.architecture.hidden_size=64", "model.architecture.intermediate_size=64")
    fused, alone = pairs.both(make_config, tmp_path, shared, runs)
    for one, other in zip(fused.records, alone.records, strict=True):
        assert (one.failure, other.failure) == (None, None)
        assert one.integrity["four_bit_layers"] == other.integrity["four_bit_layers"] > 0
        for mine, theirs in zip(one.history, other.history, strict=True):
            assert mine == pytest.approx(theirs, abs=1e-3, rel=1e-3)  # 4-bit products round by their shape


def test_one_that_diverges_leaves_and_the_others_do_not_notice(make_config: Make, tmp_path: Path) -> None:
    runs = (
        "method=lora lora.r=2",
        "method=lora lora.r=4 train.lr=1e30 train.clip=null",
        "method=ia3 seeds.data=1",
    )
    shared = (*tiny("random_bert"), *samples.films(tmp_path), *LIMITS, *BUDGET)
    fused, alone = pairs.both(make_config, tmp_path, shared, runs)
    classes = [(record.failure or {}).get("class") for record in fused.records]
    assert classes == [None, "diverged", None]
    assert fused.records[1].failure["message"] == alone.records[1].failure["message"]  # type: ignore[index]
    for place in (0, 2):
        theirs = alone.records[place].history
        for mine, other in zip(fused.records[place].history, theirs, strict=True):
            assert mine == pytest.approx(other, abs=NEAR, rel=NEAR)


def test_one_whose_patience_ends_leaves_with_its_best_epoch(make_config: Make, tmp_path: Path) -> None:
    runs = ("method=lora lora.r=2 train.patience=1 train.lr=1e-9", "method=lora lora.r=4 train.patience=5")
    shared = (*tiny("random_bert"), *samples.films(tmp_path), *LIMITS, *BUDGET, "train.monitor=accuracy")
    fused, alone = pairs.both(make_config, tmp_path, shared, runs)
    epochs = [[len(record.history) for record in side.records] for side in (fused, alone)]
    assert epochs[0] == epochs[1]
    assert epochs[0][0] == 2 < epochs[0][1] == 3


def test_costs_of_a_group_are_nobodys_own(make_config: Make, tmp_path: Path) -> None:
    shared = (*tiny("random_bert"), *samples.films(tmp_path), *LIMITS, *BUDGET)
    runs = ("method=lora lora.r=2", "method=ia3")
    probed = pairs.together(pairs.points(make_config, tmp_path / "a", shared, runs))
    dashes = pairs.together(
        pairs.points(make_config, tmp_path / "b", [*shared, "runtime.probe_steps=0"], runs)
    )
    for record in (*probed.records, *dashes.records):
        assert (record.failure, record.warnings) == (None, []), record
        assert record.cost["group"]["runs"] == 2
        assert not {"minutes", "seconds", "peak_memory_bytes"} & set(record.cost)
    assert all(record.cost["probed"] == 1 for record in probed.records)
    assert all(record.cost["minutes_per_epoch"] > 0 for record in probed.records)
    own = {"minutes_per_epoch", "tokens_per_s", "memory_bytes", "probed"}
    assert not any(own & set(record.cost) for record in dashes.records)


def test_runs_that_compute_the_same_are_probed_once(
    make_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probed, found = [], probe.probe

    def counted(work: Any, steps: int) -> dict[str, Any]:
        probed.append(work.config.lora.r)
        return found(work, steps) | {"minutes_per_epoch": float(len(probed))}

    monkeypatch.setattr(probe, "probe", counted)
    shared = (*tiny("random_bert"), *samples.films(tmp_path), *LIMITS, *BUDGET, "method=lora")
    runs = ("lora.r=2", "lora.r=4", "lora.r=2 seeds.data=1 train.lr=3e-3")
    records = pairs.together(pairs.points(make_config, tmp_path / "store", shared, runs)).records
    assert probed == [2, 4]
    assert [record.cost["minutes_per_epoch"] for record in records] == [1, 2, 1]


def test_a_group_that_comes_to_nothing_leaves_each_point_to_itself(
    make_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(carry, "learn", broken)
    shared = (*tiny("random_bert"), *samples.films(tmp_path), *LIMITS, *BUDGET)
    configs = pairs.points(make_config, tmp_path / "store", shared, ("method=lora lora.r=2", "method=ia3"))
    assert divide(configs).groups == [[0, 1]]
    side = pairs.together(configs)
    for record in side.records:
        assert record.failure is None
        assert record.runtime["executor"] == "worker"
        assert "its group of 2 came to nothing (out_of_memory" in " ".join(record.warnings)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")
def test_so_they_are_on_a_gpu(make_config: Make, tmp_path: Path) -> None:
    runs = ("method=lora lora.r=2 lora.dropout=0.2", "method=lora lora.r=8 train.lr=3e-2", "method=ia3")
    shared = (*tiny("random_bert"), *samples.films(tmp_path), *LIMITS, *BUDGET, "runtime.device=cuda")
    fused, alone = pairs.both(make_config, tmp_path, shared, runs)
    for one, other in zip(fused.records, alone.records, strict=True):
        assert (one.failure, other.failure) == (None, None)
        for mine, theirs in zip(one.history, other.history, strict=True):
            assert mine == pytest.approx(theirs, abs=1e-3, rel=1e-3)
