"""What is predicted to be kept is what autograd keeps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tunesweep.config import RunConfig
from tunesweep.estimate import activations, memory
from tunesweep.estimate.activations import Batch
from tunesweep.estimate.architecture import shape_of
from tunesweep.scoring import autocast
from workplace import attached

Make = Callable[..., RunConfig]
WORDS = ("dataset.limit={train: 16, select: 4, test: 4}", "train.batch_size=8", "encoding.max_length=40")
LAYERS = "model.architecture.num_hidden_layers=3"
CASES = {
    "bert, all weights": ("model=random_bert", LAYERS, "method=full"),
    "bert, lora": ("model=random_bert", LAYERS, "method=lora"),
    "bert, lora, bf16": ("model=random_bert", LAYERS, "method=lora", "train.precision=bf16"),
    "bert, lora, fused": ("model=random_bert", LAYERS, "method=lora", "runtime.attention=sdpa"),
    "bert, lora, dropout": ("model=random_bert", LAYERS, "method=lora", "train.dropout=0.1"),
    "llama, all weights": ("model=random_llama", LAYERS, "method=full"),
    "llama, lora on every layer": ("model=random_llama", LAYERS, "method=lora", "lora.targets=all_linear"),
    "llama, 4 bits": ("model=random_llama", LAYERS, "method=qlora"),
    "t5, lora": ("model=random_t5", "method=lora"),
}


def kept_by_autograd(config: RunConfig) -> tuple[int, tuple[int, ...]]:
    """Return the bytes of all tensors, parameters apart, that a forward leaves; and the batch's shape."""
    with attached(config) as work:
        network = work.network.train()
        own = {p.untyped_storage().data_ptr() for p in (*network.parameters(), *network.buffers())}
        batch = next(iter(work.data.train_dataloader()))
        found: dict[int, int] = {}
        alive: list[Tensor] = []  # so that no address is given twice

        def pack(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                alive.append(tensor)
                found[storage.data_ptr()] = storage.nbytes()
            return tensor

        unchanged = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
        with unchanged, autocast(torch.device("cpu"), config.train.precision):
            loss = work.task.losses(network, batch).sum()
        assert loss.requires_grad
        return sum(found.values()), tuple(batch["input_ids"].shape)


@pytest.mark.parametrize("case", CASES)
def test_what_stays_for_the_backward_pass(case: str, make_config: Make) -> None:
    config = make_config("train.precision=fp32", *WORDS, *CASES[case])
    wanted, (rows, tokens) = kept_by_autograd(config)
    shape = shape_of(config.model)
    assert shape is not None
    flow = memory.flow_of(config, shape, on_gpu=False)
    found = activations.kept(config, shape, Batch(rows, tokens), flow) + memory.casts(config, shape, flow)
    assert found == pytest.approx(wanted, rel=0.12)


def test_only_a_head_keeps_nothing_of_the_layers(make_config: Make) -> None:
    config = make_config("model=random_bert", "method=head_only", "train.precision=fp32")
    shape = shape_of(config.model)
    assert shape is not None
    flow = memory.flow_of(config, shape, on_gpu=False)
    assert activations.kept(config, shape, Batch(8, 40), flow) == 0
