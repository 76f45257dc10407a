"""On a GPU: LoRA and QLoRA of minilm for a few steps, and what is measured there."""

from __future__ import annotations

import gc
from typing import Any

import pytest
import torch

from tunesweep import stages
from tunesweep.models import backbone
from tunesweep.point import run
from workplace import FEW, attached

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here"),
]
CUDA = ("runtime.device=cuda", "dataset.limit.train=128", "train.batch_size=16", "train.lr=2e-3")


def point(make_config: Any, *words: str) -> Any:
    return make_config(*FEW, *CUDA, *words)


@pytest.mark.parametrize("method", ["lora", "qlora"])
def test_a_point_trains_on_the_gpu_and_passes_its_checks(make_config, method):
    record = run(point(make_config, f"method={method}"))
    assert record.status == "succeeded", record.failure
    assert record.provenance["device"] == torch.cuda.get_device_name()
    assert record.integrity["adapter_change"] > 0
    assert record.integrity["four_bit_layers"] == (37 if method == "qlora" else 0)
    assert record.cost["memory_how"] == "peak of the CUDA allocator"
    assert 0 < record.cost["memory_bytes"] < record.cost["peak_memory_bytes"]
    assert record.cost["reserved_bytes"] >= record.cost["peak_memory_bytes"]


@pytest.mark.parametrize("method", ["lora", "qlora"])
def test_products_are_in_16_bits_attention_is_fused_and_weights_stay_in_32(make_config, method):
    seen = set()
    with attached(point(make_config, f"method={method}", "runtime.attention=sdpa")) as work:
        network = work.network
        assert {p.device.type for p in network.parameters()} == {"cuda"}
        assert network.body.config._attn_implementation == "sdpa"
        query = network.body.base_model.model.bert.encoder.layer[0].attention.self.query
        query.register_forward_hook(lambda _, inputs, output: seen.add(output.dtype))
        stages.train(work)
        assert next(network.parameters()).device.type == "cuda"  # Lightning takes it away, we fetch it back
        assert {p.dtype for p in network.parameters() if p.requires_grad} == {torch.float32}
        layers = backbone.four_bit_layers(network)
        assert len(layers) == (37 if method == "qlora" else 0)
        assert {layer.weight.dtype for layer in layers} <= {torch.uint8}
        assert {layer.compute_dtype for layer in layers} <= {torch.bfloat16}
        stages.evaluate(work)
        stages.check_network(work)
    assert seen == {torch.bfloat16}


def test_a_gpu_attends_with_a_fused_kernel_by_itself(make_config):
    device = torch.device("cuda", 0)
    assert backbone.attention(point(make_config), device) in ("sdpa", "flash_attention_2")


def test_the_peak_is_the_points_own(make_config):
    run(point(make_config, "seed=2"))  # sets up the libraries of the device
    first = run(point(make_config, "seed=0"))
    block = torch.ones(200_000_000, device="cuda")  # 800 MB that were there before
    second = run(point(make_config, "seed=1"))
    assert second.cost["memory_bytes"] == pytest.approx(first.cost["memory_bytes"], rel=0.2)
    assert second.cost["peak_memory_bytes"] > first.cost["peak_memory_bytes"] + 700_000_000
    del block
    torch.cuda.empty_cache()


def test_four_bits_take_less_memory_than_sixteen(make_config):
    held = {}
    for method in ("lora", "qlora"):
        gc.collect()
        before = torch.cuda.memory_allocated()
        with attached(point(make_config, f"method={method}", "model.dtype=bfloat16")):
            held[method] = torch.cuda.memory_allocated() - before
    assert held["qlora"] < held["lora"]
