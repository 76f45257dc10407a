"""Weights as they are loaded: what bitsandbytes does behind one's back, dtypes, heads, broken files."""

from __future__ import annotations

import importlib.machinery
import json
import shutil
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.utils._python_dispatch import TorchDispatchMode

from tunesweep.errors import BadConfig
from tunesweep.models import backbone, sources
from tunesweep.scoring import autocast, score
from workplace import FEW, at_work, attached, learn, load

CPU = torch.device("cpu")


def repacks() -> bool:
    """Whether bitsandbytes repacks 4-bit layers on this CPU."""
    try:
        return "avx512_bf16" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def gradients_after_an_evaluation(config: Any) -> float:
    """Score without gradients, take one step, and return the norm of what reached the adapters."""
    with attached(config) as work:
        score(work.network, work.data.test_dataloader(), "bf16", work.task.look)
        learn(work, steps=1, lr=0.0)
        found = [p.grad for name, p in work.network.named_parameters() if ".lora_B." in name]
        return float(sum(grad.norm() for grad in found if grad is not None))


def without_biases(body: torch.nn.Module, _: torch.dtype) -> None:
    """Cure nothing, and take away what would make bitsandbytes raise: decoders have no biases."""
    for layer in backbone.four_bit_layers(body):
        layer.bias = None


def test_an_evaluation_before_training_leaves_the_gradients_of_qlora(make_config):
    assert gradients_after_an_evaluation(make_config("method=qlora", "train.precision=bf16", *FEW)) > 1e-3


@pytest.mark.skipif(not repacks(), reason="this CPU has no AVX512-BF16, so bitsandbytes does not repack")
@pytest.mark.filterwarnings("ignore:bitsandbytes.*an autograd kernel was not registered")
def test_without_the_cure_no_gradient_reaches_the_adapters(make_config, monkeypatch):
    monkeypatch.setattr(backbone, "tame_four_bit", without_biases)
    assert gradients_after_an_evaluation(make_config("method=qlora", "train.precision=bf16", *FEW)) == 0


def test_the_head_of_a_quantised_model_is_not_quantised(make_config):
    with attached(make_config("method=qlora", "train.precision=bf16", *FEW)) as work:
        head = work.network.body.base_model.model.classifier.modules_to_save["default"]
        assert type(head) is torch.nn.Linear
        before = head.weight.detach().clone()
        assert before.dtype == torch.float32
        learn(work, steps=2)
        assert (head.weight - before).abs().max() > 1e-4
        assert len(backbone.four_bit_layers(work.network)) == 6 * 6 + 1  # all of BERT's, and the pooler


def test_a_head_that_no_exception_names_is_quantised_and_cannot_train(make_config, monkeypatch):
    from transformers import BitsAndBytesConfig

    careless = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")
    monkeypatch.setattr(backbone, "_four_bit", lambda config: careless)
    with at_work(make_config("method=qlora", "train.precision=bf16", *FEW)) as work:
        body: Any = backbone.load_body(work.config, work.data, CPU)
        assert body.classifier in backbone.four_bit_layers(body)
    with (
        pytest.raises(AssertionError),
        attached(make_config("method=qlora", "train.precision=bf16", *FEW)) as work,
    ):
        learn(work, steps=2)


def everything(body: torch.nn.Module) -> dict[str, bytes]:
    """Return the bytes of all that is frozen, quantisation statistics included."""
    found = {}
    for name, tensor in (*body.named_parameters(), *body.named_buffers()):
        if not tensor.requires_grad:
            found[name] = tensor.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
        if (state := getattr(tensor, "quant_state", None)) is not None:
            found[f"{name}.absmax"] = state.absmax.numpy().tobytes()
    return found


def test_a_quantised_base_stays_as_it_was_loaded_to_the_bit(make_config):
    with attached(make_config("method=qlora", "train.precision=bf16", *FEW)) as work:
        before = everything(work.network)
        learn(work, steps=3)
        score(work.network, work.data.test_dataloader(), "bf16", work.task.look)
        assert everything(work.network) == before
        layer = backbone.four_bit_layers(work.network)[0]
        assert layer.compute_dtype == layer.bias.dtype == torch.bfloat16


def test_without_the_cure_the_biases_of_the_base_change(make_config, monkeypatch):
    monkeypatch.setattr(backbone, "tame_four_bit", lambda body, compute: None)
    with attached(make_config("method=qlora", "train.precision=bf16", *FEW)) as work:
        before = everything(work.network)
        learn(work, steps=1)
        assert everything(work.network) != before


def test_four_bit_layers_are_given_what_autocast_gives_to_others(make_config):
    with attached(make_config("method=qlora", "train.precision=bf16", *FEW)) as work:
        layer = backbone.four_bit_layers(work.network)[0]
        inputs = torch.randn(3, 5, layer.in_features)
        assert layer(inputs).dtype == torch.float32
        with autocast(CPU, "bf16"):
            found = layer(inputs)
            assert found.dtype == torch.nn.functional.linear(inputs, torch.ones(2, 384)).dtype
    assert torch.equal(found.float(), layer(inputs))  # all that is gone is zeros


class Products(TorchDispatchMode):
    """Counts products of matrices that are carried out example by example."""

    batched = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.batched += operation is torch.ops.aten.bmm.default
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize(("cure", "batched"), [(True, 0), (False, 1)])
def test_a_gradient_that_is_not_contiguous_takes_one_product(make_config, monkeypatch, cure, batched):
    if not cure:
        monkeypatch.setattr(backbone, "_one_product_backwards", lambda layer, inputs, output: None)
    with attached(make_config("method=qlora", "train.precision=bf16", *FEW)) as work:
        layer = backbone.four_bit_layers(work.network)[0]
        inputs = torch.randn(3, 5, layer.in_features, requires_grad=True)
        output = layer(inputs)
        with Products() as products:
            output.backward(torch.randn(3, layer.out_features, 5).transpose(1, 2))
    assert products.batched == batched


@pytest.mark.parametrize(
    ("overrides", "dtype"),
    [
        (("method=lora",), torch.bfloat16),
        (("method=head_only",), torch.bfloat16),
        (("method=full",), torch.float32),
        (("method=bitfit",), torch.float32),
        (("method=lora", "train.precision=fp32"), torch.float32),
    ],
)
def test_only_a_base_that_is_frozen_may_be_held_in_16_bits(make_config, overrides, dtype):
    config = make_config("model.dtype=bfloat16", "train.precision=bf16", *overrides, *FEW)
    assert backbone.base_dtype(config) == dtype
    with attached(config) as work:
        held = {n: p.dtype for n, p in work.network.named_parameters() if "word_embeddings" in n}
        assert set(held.values()) == {dtype}
        assert {p.dtype for p in work.network.parameters() if p.requires_grad} == {torch.float32}
        learn(work, steps=1)


def test_a_cpu_attends_eagerly_unless_told_otherwise(make_config):
    config = make_config(*FEW)
    assert backbone.attention(config, CPU) == "eager"
    assert backbone.attention(config, torch.device("cuda")) == "sdpa"
    assert backbone.attention(make_config("runtime.attention=sdpa"), CPU) == "sdpa"


def test_kernels_of_a_gpu_are_asked_for_and_refused_without_one(make_config, monkeypatch):
    with pytest.raises(BadConfig, match=r"pip install 'tunesweep\[kernels\]'"):
        make_config("runtime.kernels=liger", *FEW)
    asked: list[Any] = []
    for name in ("liger_kernel", "liger_kernel.transformers", "liger_kernel.transformers.monkey_patch"):
        module = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        module.MODEL_TYPE_TO_APPLY_LIGER_FN = {"llama": None}
        monkeypatch.setitem(sys.modules, name, module)
    config = make_config("runtime.kernels=liger", *FEW)
    with pytest.raises(BadConfig, match="is for a GPU, and this point runs on the CPU"):
        backbone.check_kernels(config, CPU)
    backbone.check_kernels(config, torch.device("cuda"))
    path = "transformers.integrations.liger.apply_liger_kernel"
    monkeypatch.setattr(path, lambda body, settings: asked.append(settings))
    body = torch.nn.Linear(1, 1)
    body.config = types.SimpleNamespace(model_type="llama")
    backbone.use_kernels(body, config)
    assert asked == [{"cross_entropy": False, "fused_linear_cross_entropy": False}]
    body.config.model_type = "bert"
    with pytest.raises(BadConfig, match=r"knows nothing of model=.* \(bert\)"):
        backbone.use_kernels(body, config)


def test_pad_and_labels_are_set_on_the_model(make_config):
    with attached(make_config("method=head_only", *FEW)) as work:
        told = work.network.body.config
        assert told.pad_token_id == work.data.tokenizer.pad_token_id == 0
        assert told.id2label == {0: "fresh", 1: "rotten"}
        assert told._attn_implementation == "eager"


@pytest.mark.parametrize(("given", "rates"), [("0.0", (0.0, 0.0)), ("null", (0.1, 0.1)), ("0.3", (0.3, 0.3))])
def test_dropout_is_ours_unless_null(make_config, given, rates):
    with attached(make_config("method=head_only", f"train.dropout={given}", *FEW)) as work:
        told = work.network.body.config
        assert (told.hidden_dropout_prob, told.attention_probs_dropout_prob) == rates


def test_a_linear_readout_leaves_the_pooler_out(make_config):
    with attached(make_config("method=full", "readout=linear", *FEW)) as work:
        assert not [name for name, _ in work.network.named_parameters() if "pooler" in name]
        assert work.record.parameters["total"] == 22_713_216 - 384 * 384 - 384 + 2 * 385


@pytest.fixture
def copied(make_config: Any, tmp_path: Path) -> Path:
    """A copy of minilm's folder that a test may break."""
    original = sources.locate(make_config("model=minilm").model)
    assert original is not None
    return Path(shutil.copytree(original, tmp_path / "weights"))


def broken(folder: Path, change: Any) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def test_weights_that_lack_a_tensor_are_refused(make_config, copied):
    broken(copied, lambda tensors: tensors.pop("encoder.layer.3.output.dense.weight"))
    with pytest.raises(BadConfig, match=r"lacks 1 tensors .*encoder\.layer\.3\.output\.dense\.weight"):
        load(make_config(f"model.source={copied}", *FEW))


def test_weights_of_another_shape_are_refused(make_config, copied):
    said = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps(said | {"intermediate_size": 512}))
    with pytest.raises(BadConfig, match=r"has 18 tensors of another shape .*is \[1536\], not \[512\]"):
        load(make_config(f"model.source={copied}", *FEW))


def test_a_head_for_other_classes_is_replaced(make_config, copied):
    told = {"classifier.weight": torch.zeros(5, 384), "classifier.bias": torch.zeros(5)}
    broken(copied, lambda tensors: tensors.update(told))
    with attached(make_config(f"model.source={copied}", "method=head_only", *FEW)) as work:
        head = work.network.body.classifier
        assert head.weight.shape == (2, 384)
        assert head.weight.std() > 0.01


@pytest.mark.parametrize("head", ["[classifier,rater]", "[rater]"])
def test_a_head_that_the_model_does_not_have_is_refused(make_config, head):
    with pytest.raises(BadConfig, match=r"model\.head"):
        load(make_config(f"model.head={head}", *FEW))
