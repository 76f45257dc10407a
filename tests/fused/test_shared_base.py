"""The tensors that a group shares are hashed once before its training and once after it, for all its runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pairs
import pytest
import torch

import samples
from tunesweep import integrity
from tunesweep.config import RunConfig
from tunesweep.fused import carry
from workplace import tiny

Make = Callable[..., RunConfig]
RUNS = ("method=lora lora.r=1", "method=lora lora.r=2", "method=bitfit")


def group(make_config: Make, tmp_path: Path) -> list[RunConfig]:
    shared = [*tiny("random_bert"), *samples.films(tmp_path), "train.epochs=1", "train.batch_size=8"]
    shared += ["dataset.limit={train: 16, select: 6, test: 6}", "train.lr=1e-2", "runtime.probe_steps=0"]
    return pairs.points(make_config, tmp_path / "store", shared, RUNS)


def test_each_is_hashed_twice(make_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: Counter[int] = Counter()
    held: list[torch.Tensor] = []  # so that no other tensor gets the id of one that is gone
    plain = integrity.hash_of

    def counted(tensor: torch.Tensor) -> str:
        hashed[id(tensor)] += 1
        held.append(tensor)
        return plain(tensor)

    monkeypatch.setattr(integrity, "hash_of", counted)
    done = pairs.together(group(make_config, tmp_path))
    assert [record.failure for record in done.records] == [None, None, None]
    assert max(hashed.values()) == 2
    unchanged = [record.integrity["frozen_tensors_unchanged"] for record in done.records]
    assert unchanged[0] == unchanged[1] > unchanged[2]
    assert Counter(hashed.values())[2] >= unchanged[0]


def test_a_bit_that_training_changed_is_every_runs(
    make_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = carry.learn

    def harmful(members: Any, frame: Any) -> Any:
        found = plain(members, frame)
        weight = next(p for name, p in frame.named_parameters() if "query.weight" in name)
        weight.data.view(-1).view(torch.uint8)[0] ^= 1
        return found

    monkeypatch.setattr(carry, "learn", harmful)
    done = pairs.together(group(make_config, tmp_path))
    for record in done.records:
        assert record.failure is not None
        assert "frozen tensors changed in training" in record.failure["message"]
