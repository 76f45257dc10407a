"""Compiled layers: the same losses, and a network that is afterwards what it was."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import samples
from fused import pairs
from tunesweep.errors import BadConfig
from tunesweep.fused.rules import why_alone
from tunesweep.models import backbone
from tunesweep.models.compiled import compiled, stacks
from workplace import FEW, attached, tiny

CPU = torch.device("cpu")


def test_every_layer_of_a_stack_is_compiled_and_let_go(make_config: Any, monkeypatch: Any) -> None:
    asked: list[dict[str, bool]] = []

    def compile_(layer: Any, **options: bool) -> None:
        asked.append(options)
        layer._compiled_call_impl = layer._call_impl

    monkeypatch.setattr(nn.Module, "compile", compile_)
    with attached(make_config("method=lora", *FEW)) as work:
        names = list(work.network.state_dict())
        with compiled(work.network, wanted=True):
            assert asked == [{"dynamic": True}] * 6  # layers of MiniLM
            assert list(work.network.state_dict()) == names
        assert not [m for m in work.network.modules() if m._compiled_call_impl is not None]
        with compiled(work.network, wanted=False):
            assert len(asked) == 6


def test_stacks_are_the_outermost_lists_of_one_kind() -> None:
    experts = nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1)])
    layers = nn.ModuleList([nn.ModuleDict({"experts": experts}), nn.ModuleDict({"experts": experts})])
    mixed = nn.ModuleList([nn.Linear(1, 1), nn.ReLU()])
    network = nn.ModuleDict({"layers": layers, "mixed": mixed, "none": nn.ModuleList()})
    assert stacks(network) == [layers]


def test_without_a_compiler_nothing_starts(make_config: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.delenv("CXX", raising=False)
    with (
        pytest.raises(
            BadConfig, match=r"needs a C\+\+ compiler on a CPU \(g\+\+ or clang\+\+\), and there is"
        ),
        attached(make_config("method=lora", "runtime.compile=true", *FEW)),
    ):
        pass


def test_it_is_for_a_run_alone_in_one_process(make_config: Any) -> None:
    with pytest.raises(BadConfig, match=r"goes with runtime\.strategy=single, not ddp"):
        make_config("runtime.compile=true", "runtime.strategy=ddp", "runtime.devices=2")
    config = make_config("method=lora", "runtime.compile=true", "runtime.fuse=auto")
    config.runtime.point.executor = "worker"
    assert why_alone(config) == "runtime.compile compiles the layers of one run"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the compiler's own
@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="no C++ compiler")
@pytest.mark.parametrize("model", ["random_bert", "random_llama"])
def test_a_compiled_run_comes_to_the_same(make_config: Any, tmp_path: Path, model: str) -> None:
    limits = ("dataset.limit.train=24", "dataset.limit.select=6", "dataset.limit.test=6")
    shared = (*tiny(model), "readout=head", *samples.films(tmp_path), *limits)
    plain, fast = (
        pairs.alone(
            pairs.points(
                make_config, tmp_path / str(way), [*shared, f"runtime.compile={way}"], ["method=lora"]
            )
        )
        for way in (False, True)
    )
    one, other = plain.records[0], fast.records[0]
    assert (one.failure, other.failure) == (None, None)
    assert (one.runtime["compile"], other.runtime["compile"]) == (False, True)
    assert one.run_id == other.run_id
    assert fast.predictions(0) == plain.predictions(0)
    for mine, theirs in zip(other.history, one.history, strict=True):
        assert mine == pytest.approx(theirs, abs=1e-5, rel=1e-5)


def test_the_compiler_is_looked_for_before_weights_are_loaded(make_config: Any, monkeypatch: Any) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(backbone, "check_compiler", asked.append)
    with attached(make_config("method=lora", "runtime.compile=true", *FEW)):
        assert asked == [CPU]
