"""A head alone learns from what the frozen backbone says of each example, read once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import samples
from tunesweep import features, identity, stages
from tunesweep.capabilities import learns_from_features
from tunesweep.config import RunConfig
from tunesweep.fused import carry
from tunesweep.fused.groups import divide
from tunesweep.point import run
from tunesweep.record import RunRecord
from workplace import attached, tiny

Make = Callable[..., RunConfig]
HEAD = ("method=head_only", "train.epochs=3", "train.batch_size=8", "train.lr=1e-2", "train.precision=fp32")
T5 = (*tiny("random_t5"), "readout=head")
LIMITS = ("dataset.limit.train=36", "dataset.limit.select=6", "dataset.limit.test=6")


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    features._known.clear()
    yield
    features._known.clear()


@pytest.fixture
def words(tmp_path: Path) -> tuple[str, ...]:
    return (*tiny("random_bert"), *samples.films(tmp_path), *LIMITS, *HEAD, "readout=linear")


def through_the_backbone(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> RunRecord:
    with monkeypatch.context() as patch:
        patch.setattr(features, "learns_from_features", lambda config: False)
        return run(config)


def saved(config: RunConfig, record: RunRecord) -> dict[str, torch.Tensor]:
    folder = Path(config.runtime.store) / record.artefacts["adapter"]
    return {name: tensor for path in folder.glob("*.safetensors") for name, tensor in load_file(path).items()}


@pytest.mark.parametrize(
    "kind", [("readout=linear",), ("readout=head", "model=minilm"), pytest.param(T5, marks=pytest.mark.slow)]
)
def test_losses_and_weights_are_those_of_steps_through_the_backbone(
    make_config: Make,
    tmp_path: Path,
    words: tuple[str, ...],
    kind: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if kind != ("readout=linear",):
        words = (*samples.films(tmp_path), *LIMITS, *HEAD)
    ours = make_config(*words, *kind)
    theirs = make_config(*words, *kind, f"runtime.store={tmp_path / 'other'}")
    one, other = run(ours), through_the_backbone(theirs, monkeypatch)
    assert (one.failure, other.failure) == (None, None)
    assert "features_seconds" in one.cost
    assert "features_seconds" not in other.cost
    for mine, expected in zip(one.history, other.history, strict=True):
        assert mine == pytest.approx(expected, abs=1e-6, rel=1e-5)
    for name, tensor in saved(theirs, other).items():
        torch.testing.assert_close(saved(ours, one)[name], tensor, atol=1e-4, rtol=1e-4)


def test_the_backbone_reads_each_example_once_for_all_points(
    make_config: Make, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    genuine = features._computed

    def noted(work: stages.Workplace) -> Any:
        read.append(work.run_id)
        return genuine(work)

    monkeypatch.setattr(features, "_computed", noted)
    points = [make_config(*words, *line.split()) for line in ("seed=0", "seeds.data=1", "train.lr=1e-1")]
    records = [run(point) for point in points]
    assert [record.failure for record in records] == [None] * 3
    assert read == [records[0].run_id]
    (known,) = features._known.values()
    for cost in (record.cost for record in records):
        assert cost["features_seconds"] == sum(known.seconds.values())
        assert cost["minutes_per_epoch"] * 60 * 3 > known.seconds["train"]  # charged to each


def test_the_same_run_is_the_same_to_the_bit_after_another_one(
    make_config: Make, tmp_path: Path, words: tuple[str, ...]
) -> None:
    one = make_config(*words)
    first = saved(one, run(one))
    features._known.clear()
    run(make_config(*words, "seed=3"))
    again = make_config(*words, f"runtime.store={tmp_path / 'again'}")
    second = saved(again, run(again))
    assert list(first) == list(second)
    assert all(torch.equal(first[name], second[name]) for name in first)


def key(config: RunConfig) -> str:
    with attached(config) as work:
        return features._key(work)


def test_other_data_weights_or_arithmetic_are_read_anew(make_config: Make, words: tuple[str, ...]) -> None:
    data = ("seeds.split=1", "dataset.limit.train=20", "encoding.max_length=4")
    arithmetic = ("train.precision=bf16", "readout.pooling=cls", "train.batch_size=4", "seeds.init=5")
    changes = ("seeds.split=0", *data, *arithmetic)
    assert len({key(make_config(*words, change)) for change in changes}) == len(changes)
    others = ("seeds.data=3", "train.lr=1e-3", "train.epochs=9", "train.schedule=constant")
    assert {key(make_config(*words, other)) for other in others} == {key(make_config(*words))}


def test_a_few_sets_of_vectors_are_kept(make_config: Make, words: tuple[str, ...]) -> None:
    for seed in range(features.KEPT + 2):  # which draws a random model
        with attached(make_config(*words, f"seeds.init={seed}")) as work:
            assert features.learn_from_features(work) is not None
    assert len(features._known) == features.KEPT


@pytest.mark.parametrize(
    "other",
    ["method=lora", "method=bitfit", "train.dropout=0.1", "train.dropout=null", "readout=label_words"],
)
def test_what_changes_from_step_to_step_goes_through_the_backbone(
    make_config: Make, words: tuple[str, ...], other: str
) -> None:
    assert learns_from_features(make_config(*words))
    assert not learns_from_features(make_config(*words, other))


def test_a_head_that_reads_all_tokens_learns_through_the_backbone(make_config: Make, tmp_path: Path) -> None:
    config = make_config(*tiny("random_llama"), *samples.films(tmp_path), *LIMITS, *HEAD)
    record = run(config)
    assert learns_from_features(config)
    assert record.failure is None
    assert "features_seconds" not in record.cost


def test_heads_are_a_group_of_their_own(make_config: Make, words: tuple[str, ...]) -> None:
    lines = ("seed=0", "method=lora", "seeds.data=1", "method=lora lora.r=2")
    found = divide([planned(make_config, words, line) for line in lines])
    assert found.groups == [[0, 2], [1, 3]]
    assert divide([planned(make_config, words, line) for line in lines[:2]]).groups == [[0, 1]]


def planned(make: Make, words: tuple[str, ...], line: str) -> RunConfig:
    config = make(*words, "runtime.fuse=auto", *line.split())
    config.runtime.point.executor = "worker"
    identity.identify(config)
    return config


def test_a_group_of_heads_learns_from_features(make_config: Make, words: tuple[str, ...]) -> None:
    lines = ("seeds.data=1", "train.lr=1e-1")
    group = [planned(make_config, words, line) for line in lines]
    carry.carry_out(group)
    together = [run(config) for config in group]
    assert not carry.dissolved
    assert [record.runtime["executor"] for record in together] == ["fused(2)"] * 2
    assert len(features._known) == 1
    for line, record in zip(lines, together, strict=True):
        store = f"runtime.store={Path(group[0].runtime.store).parent / 'alone'}"
        alone = run(make_config(*words, *line.split(), store))
        for mine, theirs in zip(record.history, alone.history, strict=True):
            assert mine == pytest.approx(theirs, abs=1e-6, rel=1e-5)


def test_vectors_that_would_fill_memory_are_not_computed(
    make_config: Make, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "features_seconds" in run(make_config(*words)).cost
    (known,) = features._known.values()
    size = sum(vectors.numel() * 4 for vectors in known.vectors.values())
    monkeypatch.setattr(features, "LIMIT", size)
    assert "features_seconds" in run(make_config(*words, "seeds.init=5")).cost
    assert len(features._known) == 1  # those before had to go
    monkeypatch.setattr(features, "LIMIT", size - 1)
    record = run(make_config(*words, "seeds.init=6"))
    assert record.failure is None
    assert "features_seconds" not in record.cost
