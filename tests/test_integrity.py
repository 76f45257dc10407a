"""Each check fails when it should: here everything it guards against is done on purpose."""

from __future__ import annotations

import json
import re
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import samples
from tunesweep import integrity, stages
from tunesweep.data.batches import TextCollator
from tunesweep.data.module import SealedAnswers
from tunesweep.errors import IntegrityError
from tunesweep.methods.artefact import trained_state
from tunesweep.models import backbone
from tunesweep.point import run
from workplace import DIGITS, FEW, attached, learn, tiny, trained

FP32 = (*FEW, "train.precision=fp32", "train.lr=5e-3")


def parameter(work: stages.Workplace, *words: str) -> torch.nn.Parameter:
    """Return the first parameter whose name has all the words."""
    return next(p for name, p in work.network.named_parameters() if all(word in name for word in words))


@pytest.mark.parametrize("method", ["lora", "qlora", "head_only"])
def test_one_bit_of_a_frozen_weight_is_noticed(make_config, method):
    with attached(make_config(f"method={method}", *FEW)) as work:
        frozen = sum(not p.requires_grad for p in work.network.parameters())
        assert integrity.check_base(work.base, work.network) == frozen
        weight = parameter(work, "layer.3.", "output.dense", "weight").data.view(-1).view(torch.uint8)
        weight[100] ^= 1
        with pytest.raises(IntegrityError, match=r"1 frozen tensors changed in training, .*layer\.3\."):
            integrity.check_base(work.base, work.network)


def test_a_frozen_weight_that_is_gone_is_noticed(make_config):
    with attached(make_config("method=lora", *FEW)) as work:
        del work.network.body.base_model.model.bert.pooler.dense.bias
        with pytest.raises(IntegrityError, match=r"1 frozen tensors changed .*pooler\.dense\.bias"):
            integrity.check_base(work.base, work.network)


def test_the_digest_of_a_tensor_is_of_its_bytes():
    layer = torch.nn.Linear(3, 2)
    before = integrity.digests(layer)
    assert before == integrity.digests(layer)
    with torch.no_grad():
        layer.bias[0] = torch.nextafter(layer.bias[0], torch.tensor(9.0))
    after = integrity.digests(layer)
    assert [name for name in before if before[name] != after[name]] == ["bias"]


def test_an_adapter_that_was_never_trained_is_noticed(make_config):
    with attached(make_config("method=lora", *FEW)) as work:
        state = trained_state(work.network)
        with pytest.raises(IntegrityError, match="changed none of its weights"):
            integrity.check_trained(work.untrained, state, work.config)
        learn(work, steps=2)
        state = trained_state(work.network)
        moved = integrity.check_trained(work.untrained, state, work.config)
        for part, wanted in (("adapter", False), ("head", True)):
            names = [name for name in state if ("classifier" in name) is wanted]
            change = torch.cat([(state[name] - work.untrained[name]).flatten() for name in names])
            assert moved[f"{part}_change"] == pytest.approx(float(change.norm()))


@pytest.mark.parametrize(("part", "word"), [("adapter", "lora_"), ("head", "classifier")])
def test_a_part_that_learned_nothing_is_noticed_beside_one_that_did(make_config, part, word):
    with attached(make_config("method=lora", *FEW)) as work:
        learn(work, steps=2)
        after = trained_state(work.network)
        after |= {name: value for name, value in work.untrained.items() if word in name}
        with pytest.raises(IntegrityError, match=f"method=lora, {part}: training changed none"):
            integrity.check_trained(work.untrained, after, work.config)


def test_weights_that_are_no_numbers_are_noticed(make_config):
    with attached(make_config("method=lora", *FEW)) as work:
        state = trained_state(work.network)
        next(iter(state.values())).view(-1)[0] = float("nan")
        with pytest.raises(IntegrityError, match=r"not finite after training: lower train\.lr"):
            integrity.check_trained(work.untrained, state, work.config)


def test_a_base_that_is_no_longer_in_four_bits_is_noticed(make_config):
    with attached(make_config("method=qlora", *FEW)) as work:
        assert integrity.check_four_bit(work.network, work.config) == 37
        layer = backbone.four_bit_layers(work.network)[5]
        layer.weight = torch.nn.Parameter(torch.zeros(384, 384), requires_grad=False)
        with pytest.raises(IntegrityError, match="no longer held in 4 bits"):
            integrity.check_four_bit(work.network, work.config)
    with attached(make_config("method=lora", *FEW)) as work:
        assert integrity.check_four_bit(work.network, work.config) == 0
        work.config.method.quantisation = "nf4"
        with pytest.raises(IntegrityError, match="no longer held in 4 bits"):
            integrity.check_four_bit(work.network, work.config)


@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=pytest.mark.slow)])
def test_a_batch_without_its_mask_is_noticed(make_config, monkeypatch, precision):
    words = (*FP32, f"train.precision={precision}", "encoding.max_length=128")
    words += ("dataset.limit.train=8", "dataset.limit.test=12")
    with trained(make_config("method=lora", *words)) as work:
        found = integrity.check_batch_size(work.network, work.data, work.config, work.task)
        assert found["batch_size_change"] <= integrity.LIMITS[precision]
        assert found.get("batch_size_change_fp32", 0) < 1e-5
        complete = TextCollator.__call__

        def careless(self: TextCollator, rows: Any) -> Any:
            return {key: value for key, value in complete(self, rows).items() if key != "attention_mask"}

        monkeypatch.setattr(TextCollator, "__call__", careless)
        with pytest.raises(IntegrityError, match="padding or attention mask is wrong"):
            integrity.check_batch_size(work.network, work.data, work.config, work.task)


@pytest.mark.parametrize("model", ["random_llama", "random_t5"])
@pytest.mark.parametrize("task", [samples.sums, samples.answers])
def test_a_written_answer_given_padding_too_is_noticed(make_config, monkeypatch, tmp_path, model, task):
    """Without classes the likelihood per token must not depend on the batch."""
    with attached(make_config(*tiny(model), *task(tmp_path), "method=full")) as work:
        learn(work, steps=30, lr=0.01)  # before that, every token is as good as impossible
        found = integrity.check_batch_size(work.network, work.data, work.config, work.task)
        assert found["batch_size_change"] < 1e-5
        complete = TextCollator.__call__

        def careless(self: TextCollator, rows: Any) -> Any:
            batch = complete(self, rows)
            return batch | {"attention_mask": torch.ones_like(batch["attention_mask"])}

        monkeypatch.setattr(TextCollator, "__call__", careless)
        with pytest.raises(IntegrityError, match="padding or attention mask is wrong"):
            integrity.check_batch_size(work.network, work.data, work.config, work.task)


@pytest.mark.parametrize(
    ("precision", "change", "flips", "said"),
    [
        ("bf16", 0.02, 1, None),
        ("bf16", 0.02, 2, "2 of 32 labels flip"),
        ("bf16", 0.04, 0, "by 0.04 and 0 of 32"),
        ("bf16", 5e-5, 3, None),  # labels as good as equal: that is no padding
        ("fp32", 2e-4, 0, "by 0.0002 and 0 of 32"),
        ("fp32", 5e-5, 0, None),
    ],
)
def test_the_limits_of_the_batch_size(make_config, precision, change, flips, said):
    chance = np.full(32, 0.7)
    chance[:flips] = 0.5 - change / 2
    told = [np.stack([p, 1 - p], 1) for p in (chance, chance + change)]
    data: Any = SimpleNamespace(sample_dataloader=lambda *_, padded: None)
    network: Any = None
    config = make_config(f"train.precision={precision}", "model.dtype=bfloat16")
    task: Any = SimpleNamespace(config=config, probabilities=lambda seen: seen, look=None)
    with pytest.raises(IntegrityError, match=said) if said else nullcontext():
        found = integrity.check_batch_size(network, data, config, task, lambda *_: told.pop(0))
        assert found["batch_size_flipped"] == flips


def edit(folder: Path, change: Any) -> None:
    path = folder / "adapter_model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def without_head(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in tensors.items() if "classifier" not in name}


def tampered(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor * 3 if "lora_B" in name else tensor for name, tensor in tensors.items()}


OTHER = "gives other predictions when loaded again"


@pytest.mark.parametrize(("change", "said"), [(without_head, "does not hold all"), (tampered, OTHER)])
def test_an_artefact_that_is_not_the_trained_model_is_noticed(make_config, change, said):
    with trained(make_config("method=lora", *FP32)) as work:
        stages.check_network(work)
        stages.save(work)
        stages.check_artefact(work)
        assert work.record.integrity["reload_change"] < 1e-6
        edit(work.artefact, change)
        with pytest.raises(IntegrityError, match=said):
            stages.check_artefact(work)


def test_a_head_that_was_silently_not_saved_is_noticed(make_config):
    """As PEFT does with a head whose name it does not know."""
    with trained(make_config("method=lora", *FP32)) as work:
        stages.check_network(work)
        stages.save(work)
        edit(work.artefact, without_head)
        path = work.artefact / "adapter_config.json"
        told = json.loads(path.read_text()) | {"modules_to_save": None, "task_type": None}
        path.write_text(json.dumps(told))
        with pytest.raises(IntegrityError, match=OTHER):
            stages.check_artefact(work)


def test_an_artefact_that_lacks_a_promised_tensor_is_noticed(make_config):
    with trained(make_config("method=bitfit", *FP32)) as work:
        stages.check_network(work)
        stages.save(work)
        path = work.artefact / "trained.safetensors"
        state = load_file(path)
        wanted = len(state)
        del state["body.classifier.bias"]
        save_file(state, path)
        with pytest.raises(IntegrityError, match=f"holds {wanted - 1} tensors where {wanted} were promised"):
            stages.check_artefact(work)


def test_a_reload_may_not_flip_one_label():
    saved, again = np.array([[0.4999, 0.5001], [0.9, 0.1]]), np.array([[0.5001, 0.4999], [0.9, 0.1]])
    with pytest.raises(IntegrityError, match="1 of 2 labels differ"):
        integrity.check_reload(saved, again, torch.device("cpu"))
    assert integrity.check_reload(saved, saved, torch.device("cpu")) == 0


def test_a_reload_on_a_cpu_gives_the_same_numbers():
    saved, again = np.array([[0.05, 0.95]]), np.array([[0.050045, 0.949955]])
    with pytest.raises(IntegrityError, match="0 of 1 labels differ, probabilities by up to 4"):
        integrity.check_reload(saved, again, torch.device("cpu"))
    assert 0 < integrity.check_reload(saved, again, torch.device("cuda")) < 1e-4


NAMES = ["ant", "bee", "cat"]


@pytest.mark.parametrize("shift", [1, 2])
def test_permuted_labels_are_named_with_the_permutation(shift):
    """Class `c` was written down as class `c + shift`, and the model still finds the truth."""
    confusion = np.zeros((3, 3), dtype=int)
    for truth in range(3):
        confusion[(truth + shift) % 3, truth] = 30
    fits = ", ".join(f"{NAMES[(truth + shift) % 3]} -> {NAMES[truth]}" for truth in range(3))
    with pytest.raises(IntegrityError) as caught:
        integrity.check_labels(confusion.tolist(), NAMES)
    said = str(caught.value)
    assert "accuracy 0.000 is far below chance (0.333): labels permuted?" in said
    listed = re.findall(r"\w+ -> \w+", said)
    assert sorted(listed) == sorted(fits.split(", "))
    assert said.endswith("would give 1.000")


@pytest.mark.parametrize(
    "confusion", [[[10, 12], [11, 9]], [[0, 3], [2, 0]], [[50, 0], [50, 0]], [[90, 10], [10, 90]]]
)
def test_chance_is_no_permutation(confusion):
    integrity.check_labels(confusion, ["a", "b"])


def test_a_run_on_permuted_test_labels_fails_and_says_how(make_config, monkeypatch):
    honest = SealedAnswers.open
    monkeypatch.setattr(SealedAnswers, "open", lambda self: (honest(self) + 3) % 10)
    words = ("train.lr=0.01", "train.epochs=4", "dataset.limit.train=600", "dataset.limit.test=300")
    record = run(make_config("model=logistic", *DIGITS, *words))
    assert record.failure is not None
    assert record.failure["class"] == "integrity"
    assert "labels permuted?" in record.failure["message"]
    pairs = dict(pair.split(" -> ") for pair in re.findall(r"\d -> \d", record.failure["message"]))
    assert pairs == {str((digit + 3) % 10): str(digit) for digit in range(10)}
    assert record.metrics == {}


@pytest.mark.parametrize(
    "words",
    [("method=lora", *FEW, "train.lr=1e20"), ("model=mlp", *DIGITS, "train.lr=1e30", "train.epochs=1")],
)
def test_a_loss_without_end_is_a_failure_of_its_own_class(make_config, words):
    record = run(make_config(*words))
    assert record.failure is not None
    assert record.failure["class"] == "diverged", record.failure
    assert "train.lr=1e+" in record.failure["message"]
