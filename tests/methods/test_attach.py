"""Each method against its promise: what is trained, that it learns, and that the base stays as it was."""

from __future__ import annotations

import re

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import BartConfig, BartForSequenceClassification

import tiny_cells as tiny
from tunesweep.capabilities import cells_of
from tunesweep.capabilities.catalogue import methods
from tunesweep.errors import BadConfig, IntegrityError
from tunesweep.methods.attach import attach, check_trainable, parameter_counts
from tunesweep.models.readouts import Pixels, Standard
from tunesweep.models.reference import reference
from tunesweep.silence import quiet_libraries
from workplace import FEW, attached, learn, load

METHODS_BY_YAML = methods([tiny.CONF])
METHODS = ("full", "head_only", "bitfit", "lora", "dora", "qlora")
READOUTS = ("head", "linear")
LAYERS, WIDTH, RANK = 6, 384, 4
MODULES = LAYERS * 2  # query and value


def expected(method: str, readout: str, every: set[str]) -> set[str]:
    """Return the names that must be trained, written down layer by layer."""
    wrapped = method in ("lora", "dora", "qlora")
    if readout == "linear":
        head = {"head.weight", "head.bias"}
    else:
        path = "body.base_model.model.classifier.modules_to_save.default" if wrapped else "body.classifier"
        head = {f"{path}.weight", f"{path}.bias"}
    if method == "full":
        return every
    if method == "bitfit":
        return head | {name for name in every if name.endswith("bias")}
    if not wrapped:
        return head
    kinds = ["lora_A.default.weight", "lora_B.default.weight"]
    kinds += ["lora_magnitude_vector.default.weight"] * (method == "dora")
    stem = "body.base_model.model." + ("bert." if readout == "head" else "")
    places = [(layer, part) for layer in range(LAYERS) for part in ("query", "value")]
    adapter = {
        f"{stem}encoder.layer.{n}.attention.self.{part}.{kind}" for n, part in places for kind in kinds
    }
    return head | adapter


def bare(name: str) -> str:
    return re.sub(r"base_model\.model\.|\.base_layer|\.original_module", "", name)


def frozen(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {bare(n): p.detach().clone() for n, p in network.named_parameters() if not p.requires_grad}


@pytest.mark.parametrize(
    "readout", [pytest.param(r, marks=[pytest.mark.slow] * (r == "linear")) for r in READOUTS]
)
@pytest.mark.parametrize("method", METHODS)
def test_a_method_trains_what_it_promises_and_nothing_else(make_config, method, readout):
    with attached(make_config(f"method={method}", f"readout={readout}", f"lora.r={RANK}", *FEW)) as work:
        parameters = dict(work.network.named_parameters())
        trainable = {name for name, p in parameters.items() if p.requires_grad}
        assert trainable == expected(method, readout, set(parameters))
        before = frozen(work.network)
        reached = dict.fromkeys(trainable, 0.0)
        for name in trainable:  # the hook sees each gradient before the next step overwrites it
            parameters[name].register_hook(lambda grad, name=name: reached.update({name: grad.abs().max()}))
        rate = 1e-4 if method == "full" else 2e-3
        losses = learn(work, steps=3, lr=rate)
        # A bias on all keys moves no attention: its gradient is zero but for rounding.
        assert [n for n, size in reached.items() if not size > 0 and not n.endswith("key.bias")] == []
        losses += learn(work, steps=4, lr=rate)
        assert losses[-1] < losses[0] - 0.01
        after = frozen(work.network)
        assert list(after) == list(before)
        assert [name for name in before if not torch.equal(before[name], after[name])] == []


@pytest.mark.parametrize(
    ("overrides", "adapter"),
    [
        (("method=lora",), MODULES * RANK * (WIDTH + WIDTH)),
        (("method=qlora",), MODULES * RANK * (WIDTH + WIDTH)),
        (("method=dora",), MODULES * (RANK * (WIDTH + WIDTH) + WIDTH)),
        (("method=head_only",), 0),
        (
            ("method=lora", "lora.targets=all_linear"),
            LAYERS * RANK * (4 * 2 * WIDTH + 2 * (WIDTH + 4 * WIDTH)),
        ),
    ],
)
def test_trainable_parameters_follow_the_formula(make_config, overrides, adapter):
    head = 2 * WIDTH + 2
    with attached(make_config(f"lora.r={RANK}", *overrides, *FEW)) as work:
        counts = work.record.parameters
    assert counts["adapter"] == adapter
    assert counts["head"] == head
    assert counts["trainable"] == adapter + head
    assert counts["total"] == 22_713_216 + head + adapter  # of the published weights; 4-bit ones count whole


def test_the_head_counts_as_head_and_biases_as_adapter(make_config):
    with attached(make_config("method=bitfit", *FEW)) as work:
        biases = [p.numel() for n, p in work.network.named_parameters() if n.endswith("bias")]
        counts = work.record.parameters
    assert counts["adapter"] == sum(biases) - 2
    assert counts["head"] == 2 * WIDTH + 2


@pytest.mark.parametrize("names", ["[query,valu]", "[valu]"])
def test_a_target_that_does_not_exist_is_refused_even_beside_one_that_does(make_config, names):
    with pytest.raises(
        BadConfig, match=r"names 'valu', which the model does not have: .*did you mean 'value'"
    ):
        load(make_config(f"lora.target_modules={names}", *FEW))


def test_a_rank_above_the_layer_is_refused(make_config):
    with pytest.raises(BadConfig, match=r"lora\.r=385 is larger than layer 'query': at most 384"):
        load(make_config("lora.r=385", *FEW))


def test_a_promise_that_is_not_kept_fails(make_config):
    with attached(make_config(*FEW)) as work:
        name, adapter = next((n, p) for n, p in work.network.named_parameters() if ".lora_A." in n)
        adapter.requires_grad_(False)
        with pytest.raises(IntegrityError, match=re.escape(name)):
            check_trainable(work.network, work.config)


def test_a_head_that_peft_would_miss_is_trained_because_it_is_named(make_config):
    """A random model whose head bears a name that PEFT does not know."""
    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "vocab_size": 40, "encoder_ffn_dim": 16}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "decoder_ffn_dim": 16}
    config = make_config("model.head=[classification_head]", "lora.target_modules=[q_proj]", "lora.r=2")
    shape = BartConfig(**sizes, **heads)
    with quiet_libraries():
        spec = LoraConfig(task_type="SEQ_CLS", target_modules=["q_proj"], r=2)
        guess = get_peft_model(BartForSequenceClassification(shape), spec)
        network = Standard(BartForSequenceClassification(shape))
        attach(network, config)
    assert head_parameters(guess) == set()
    assert head_parameters(network) == {"dense.weight", "dense.bias", "out_proj.weight", "out_proj.bias"}


def head_parameters(network: torch.nn.Module) -> set[str]:
    trained = {name for name, p in network.named_parameters() if p.requires_grad}
    return {name.split(".default.")[1] for name in trained if "classification_head" in name}


def test_a_pattern_that_matches_nothing_is_not_head_only_by_another_name(make_config):
    with (
        pytest.raises(BadConfig, match=r"method\.trains=nothing_of_this_name matches no parameter"),
        attached(make_config("method=bitfit", "method.trains=nothing_of_this_name", *FEW)),
    ):
        pass


def test_peft_may_choose_the_layers_by_its_own_words(make_config):
    words = ("method=lora", "+method.peft.init_lora_weights=true", *FEW)
    config = make_config(*words)
    assert config.method.peft is not None
    config.method.peft["target_modules"] = "all-linear"
    with attached(config) as work:
        adapted = {name for name, _ in work.network.named_parameters() if ".lora_A." in name}
    assert any("intermediate.dense" in name for name in adapted)
    assert any("self.key" in name for name in adapted)


@pytest.mark.parametrize(("rslora", "scale"), [(False, 32 / 4), (True, 32 / 4**0.5)])
def test_rank_stabilised_lora_is_scaled_by_the_root_of_the_rank(rslora, scale):
    """alpha / sqrt(r) (arXiv:2312.03732), seen in what a layer says."""
    cell = next(c for c in cells_of("lora", METHODS_BY_YAML["lora"]) if c.family == "encoder")
    config = tiny.config_of(cell, "lora.r=4", "lora.alpha=32", f"lora.rslora={str(rslora).lower()}")
    with quiet_libraries():
        network = tiny.build(cell)
        attach(network, config)
    layer = network.body.get_submodule("base_model.model.bert.encoder.layer.0.attention.self.query")
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    torch.nn.init.normal_(b)
    hidden = torch.randn(3, tiny.WIDTH)
    torch.testing.assert_close(layer(hidden), layer.base_layer(hidden) + scale * hidden @ a.T @ b.T)


def test_an_adapter_on_every_layer_of_a_trained_perceptron_has_the_size_of_the_study():
    """784-1000-2000-10 with rank 1: 6,794 weights, and the head is one of the layers."""
    words = ("model.hidden=[1000,2000]", "model.head=[]", "model.init_from=0123456789abcdef", "lora.r=1")
    config = tiny.composed_for("lora", "mlp", "dataset=digits", *words, "lora.targets=all_linear")
    with quiet_libraries():
        network = Pixels(reference(config.model, size=28, classes=10))
        attach(network, config)
    counts = parameter_counts(network, config)
    assert (counts["adapter"], counts["head"]) == (6_794, 0)
    assert counts["total"] == 2_807_010 + 6_794
