"""The mechanics of training: what must not change a result does not, and what must be chosen is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tunesweep import metrics, stages
from tunesweep.methods.artefact import trained_state
from tunesweep.scoring import score
from workplace import DIGITS, FEW, attached, trained

MLP = ("model=mlp", *DIGITS, "dataset.limit.train=72", "dataset.limit.test=40", "train.batch_size=32")
PLAIN = ("train.schedule=constant", "train.warmup=0", "train.lr=1e-3")


def weights(config: Any) -> dict[str, torch.Tensor]:
    """Train, and return what was trained."""
    with attached(config) as work:
        stages.train(work)
        return trained_state(work.network)


def difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


@pytest.mark.parametrize("weighting", ["null", "balanced"])
@pytest.mark.parametrize("micro", [8, 12])
def test_accumulation_equals_one_large_batch(make_config, weighting, micro):
    """72 rows make two whole batches and one of eight; 12 does not even divide 32."""
    words = (*MLP, "train.epochs=2", f"train.class_weights={weighting}")
    whole, parts = weights(make_config(*words)), weights(make_config(*words, f"runtime.micro_batch={micro}"))
    assert difference(whole, parts) < 5e-6  # sums in another order, through Adam, which divides by their size
    other = weights(make_config(*words, "train.batch_size=8"))
    assert difference(whole, other) > 1e-4


def test_accumulation_equals_one_large_batch_of_texts(make_config):
    words = (*FEW, "train.precision=fp32", "dataset.limit.train=20", "train.batch_size=16")
    with attached(make_config(*words)) as work:
        start = trained_state(work.network)
    whole, parts = weights(make_config(*words)), weights(make_config(*words, "runtime.micro_batch=6"))
    assert difference(whole, parts) < 2e-6
    assert difference(whole, start) > 1e-4


def test_the_train_loss_of_the_record_does_not_depend_on_accumulation(make_config):
    losses = []
    for micro in (32, 12):
        with trained(make_config(*MLP, "train.epochs=1", f"runtime.micro_batch={micro}")) as work:
            losses.append(work.record.history[0]["train_loss"])
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


def script(monkeypatch: pytest.MonkeyPatch, *accuracies: float) -> None:
    """Let the select split report these accuracies, epoch by epoch."""
    told = iter(accuracies)
    monkeypatch.setattr(metrics, "quick", lambda *_: {"accuracy": next(told), "macro_f1": 0.0, "loss": 1.0})


def epochs(config: Any) -> tuple[int, int]:
    """Return the epochs trained, and the one whose scores the record reports."""
    with attached(config) as work:
        stages.train(work)
        return int(work.record.cost["epochs"]), int(work.record.metrics["select"]["epoch"])


def test_the_best_epoch_on_select_comes_back(make_config, monkeypatch):
    script(monkeypatch, 0.3, 0.9, 0.5)
    worse_later = weights(make_config(*MLP, *PLAIN, "train.epochs=3"))
    script(monkeypatch, 0.3, 0.9)
    two = weights(make_config(*MLP, *PLAIN, "train.epochs=2"))
    script(monkeypatch, 0.3, 0.9, 0.95)
    three = weights(make_config(*MLP, *PLAIN, "train.epochs=3"))
    assert difference(worse_later, two) == 0
    assert difference(worse_later, three) > 1e-4


def test_equal_scores_are_told_apart_by_the_loss(make_config, monkeypatch):
    told = iter([{"accuracy": 0.5, "loss": loss, "macro_f1": 0.0} for loss in (2.0, 1.0, 1.5)])
    monkeypatch.setattr(metrics, "quick", lambda *_: next(told))
    assert epochs(make_config(*MLP, "train.epochs=3")) == (3, 2)


def test_the_loss_may_be_what_is_watched(make_config, monkeypatch):
    told = iter(
        [{"accuracy": a, "loss": b, "macro_f1": 0.0} for a, b in ((0.9, 3.0), (0.1, 1.0), (0.5, 2.0))]
    )
    monkeypatch.setattr(metrics, "quick", lambda *_: next(told))
    assert epochs(make_config(*MLP, "train.epochs=3", "train.monitor=loss")) == (3, 2)


def test_nothing_stops_early_unless_asked(make_config, monkeypatch):
    script(monkeypatch, *[0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    assert epochs(make_config(*MLP, "train.epochs=6")) == (6, 1)


@pytest.mark.parametrize(("patience", "expected"), [(1, 3), (2, 4)])
def test_patience_counts_epochs_without_a_better_one(make_config, monkeypatch, patience, expected):
    script(monkeypatch, *[0.7, 0.8, 0.7, 0.75, 0.6, 0.9])
    config = make_config(*MLP, "train.epochs=6", f"train.patience={patience}")
    assert epochs(config) == (expected, 2)


def test_the_weights_of_one_epoch_stay_until_the_point_is_done(make_config, monkeypatch):
    script(monkeypatch, 0.3, 0.9, 0.5)
    with attached(make_config(*MLP, "train.epochs=3")) as work:
        stages.train(work)
        assert {path.name for path in work.folder.iterdir()} == {"best-2.safetensors", "checkpoint.json"}
    assert not work.folder.exists()


def modes(config: Any) -> set[tuple[bool, float]]:
    """Return in which mode, and at which rate, dropout layers ran while training."""
    seen: set[tuple[bool, float]] = set()
    with attached(config) as work:
        for module in work.network.modules():
            if isinstance(module, torch.nn.Dropout):
                module.register_forward_hook(lambda m, *_: seen.add((m.training, m.p)))
        stages.train(work)
        seen_in_training = set(seen)
        seen.clear()
        stages.evaluate(work)
        assert not any(training for training, _ in seen)
    return seen_in_training


def test_dropout_runs_in_training_and_not_in_scoring(make_config):
    assert (True, 0.1) in modes(make_config(*FEW, "train.dropout=null"))
    assert {rate for _, rate in modes(make_config(*FEW))} == {0.0}
    assert (True, 0.2) in modes(make_config(*FEW, "lora.dropout=0.2"))


def gradients(config: Any) -> dict[str, torch.Tensor]:
    with attached(config) as work:
        work.network.train()
        work.network(next(iter(work.data.train_dataloader()))).logsumexp(1).sum().backward()
        found = {n: p.grad for n, p in work.network.named_parameters() if p.grad is not None}
        layers = [m for m in work.network.modules() if type(m).__name__ == "BertLayer"]
        assert {bool(m.gradient_checkpointing) for m in layers} == {config.runtime.gradient_checkpointing}
    return found


@pytest.mark.parametrize("method", ["lora", "full"])
def test_gradient_checkpointing_gives_the_same_gradients(make_config, method):
    words = (*FEW, f"method={method}", "train.precision=fp32", "train.batch_size=8")
    plain = gradients(make_config(*words))
    thrifty = gradients(make_config(*words, "runtime.gradient_checkpointing=true"))
    assert difference(plain, thrifty) <= 1e-6
    assert sum(float(grad.norm()) for grad in plain.values()) > 0.1


@pytest.mark.slow  # 16 bits are emulated on most CPUs
def test_what_is_trained_in_bf16_stays_in_32_bits(make_config):
    seen = set()
    with attached(make_config(*FEW, "model.dtype=bfloat16", "train.precision=bf16")) as work:
        body = work.network.body.base_model.model
        body.bert.encoder.layer[0].attention.self.query.register_forward_hook(
            lambda _, inputs, output: seen.add(output.dtype)
        )
        stages.train(work)
        state = trained_state(work.network)
    assert seen == {torch.bfloat16}  # products are in 16 bits
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}
    low = state["body.base_model.model.bert.encoder.layer.0.attention.self.query.lora_B.default.weight"]
    assert not torch.equal(low, low.bfloat16().float())  # and updates are not rounded to them


def logits(config: Any) -> np.ndarray:
    with trained(config) as work:
        return work.scored.seen["logits"]


@pytest.mark.parametrize(
    "words", [("method=lora", "train.dropout=null"), pytest.param(("method=qlora",), marks=pytest.mark.slow)]
)
def test_the_same_point_twice_gives_identical_logits(make_config, words):
    words = (*FEW, "train.batch_size=8", *words)
    first = logits(make_config(*words))
    assert np.array_equal(first, logits(make_config(*words)))
    assert not np.array_equal(first, logits(make_config(*words, "seeds.data=1")))


def test_the_seed_of_new_weights_is_its_own(make_config):
    def untrained(*words: str) -> dict[str, torch.Tensor]:
        with attached(make_config(*FEW, *words)) as work:
            return work.untrained

    first = untrained()
    assert difference(first, untrained("seeds.data=1", "seeds.split=1")) == 0
    assert difference(first, untrained("seeds.init=1")) > 1e-3


def test_scoring_leaves_the_network_as_it_was_and_keeps_the_order(make_config):
    with attached(make_config(*FEW)) as work:
        work.network.train()
        one = score(work.network, work.data.sample_dataloader(24, 5), "fp32", work.task.look)["logits"]
        assert work.network.training
        for index, row in enumerate(work.data.rows["test"]["input_ids"][:4]):
            batch = {
                "input_ids": torch.tensor([row]),
                "attention_mask": torch.ones(1, len(row), dtype=torch.long),
            }
            work.network.eval()
            with torch.no_grad():
                alone = work.network(batch)[0].numpy()
            np.testing.assert_allclose(one[index], alone, atol=1e-5)


def test_states_of_eight_bits_train_on_any_device(make_config):
    """The first layer alone, 64 x 256, is large enough to be held so."""
    words = (*MLP, *PLAIN, "train.epochs=2", "model.hidden=[256]")
    with trained(make_config(*words, "train.optimizer=adamw_8bit")) as work:
        losses = [epoch["train_loss"] for epoch in work.record.history]
        assert losses[1] < losses[0]
        low = trained_state(work.network)
    whole = weights(make_config(*words))
    assert 0 < difference(whole, low) < 5e-3
