"""The loss, its weights, the optimiser's groups and schedule: each against its formula."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from tunesweep.errors import Diverged
from tunesweep.tasks.classification import CHECK_EVERY, Classification, class_weights
from workplace import DIGITS, FEW, attached

STEPS, RATE = 40, 0.01


def learner(work: Any) -> Classification:
    return Classification(work.network, work.config.train, work.data)


def optimisation(work: Any) -> dict[str, Any]:
    module, trainer = learner(work), SimpleNamespace(estimated_stepping_batches=STEPS)
    module._trainer = trainer  # type: ignore[assignment]
    return dict(module.configure_optimizers())


def planned(schedule: str, step: int, warmup: int) -> float:
    if step < warmup:
        return RATE * step / warmup
    rest = (step - warmup) / (STEPS - warmup)
    return (
        RATE * {"linear": 1 - rest, "cosine": (1 + math.cos(math.pi * rest)) / 2, "constant": 1.0}[schedule]
    )


@pytest.mark.parametrize("warmup", [0.0, 0.25])
@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_the_rate_follows_its_formula_at_every_step(make_config, schedule, warmup):
    words = (f"train.schedule={schedule}", f"train.warmup={warmup}", f"train.lr={RATE}")
    with attached(make_config("model=logistic", *DIGITS, *words)) as work:
        found = optimisation(work)
        optimizer, scheduler = found["optimizer"], found["lr_scheduler"]["scheduler"]
        assert found["lr_scheduler"]["interval"] == "step"
        for step in range(STEPS):
            expected = planned(schedule, step, round(STEPS * warmup))
            assert optimizer.param_groups[0]["lr"] == pytest.approx(expected, abs=1e-9), step
            optimizer.step()
            scheduler.step()


def test_matrices_decay_and_the_rest_does_not(make_config):
    with attached(make_config("method=full", "train.weight_decay=0.3", *FEW)) as work:
        groups = optimisation(work)["optimizer"].param_groups
        rate = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
        for name, parameter in work.network.named_parameters():
            is_matrix = not name.endswith("bias") and "LayerNorm" not in name
            assert rate[id(parameter)] == (0.3 if is_matrix else 0.0), name


def test_only_what_is_trained_is_optimised(make_config):
    with attached(make_config("method=lora", *FEW)) as work:
        groups = optimisation(work)["optimizer"].param_groups
        optimised = sum(p.numel() for group in groups for p in group["params"])
        assert optimised == work.record.parameters["trainable"]


def test_class_weights_equal_scikit_learns(make_config):
    train = make_config("train.class_weights=balanced").train
    labels = np.array([0] * 5 + [1] * 2 + [2] * 13)
    data: Any = SimpleNamespace(labels={"train": labels}, names=["a", "b", "c"])
    weights = class_weights(train, data)
    assert weights is not None
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(weights.numpy(), expected, rtol=1e-6)
    assert weights.numpy()[labels].mean() == pytest.approx(1)
    assert class_weights(make_config().train, data) is None


@pytest.mark.parametrize("weighting", ["null", "balanced"])
def test_a_step_is_the_mean_of_weighted_cross_entropies(make_config, weighting):
    with attached(make_config("model=mlp", *DIGITS, f"train.class_weights={weighting}")) as work:
        module = learner(work)
        batch = next(iter(work.data.train_dataloader()))
        logits, labels = module.network(batch), batch["labels"]
        weights = module.class_weights if weighting == "balanced" else torch.ones(10)
        each = [-torch.log_softmax(row, 0)[y] * weights[y] for row, y in zip(logits, labels, strict=True)]
        torch.testing.assert_close(module.training_step(batch, 0), sum(each) / len(each))


class Broken(torch.nn.Module):
    """Answers with something that is no number."""

    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.full((len(batch["index"]), 10), math.nan)


def test_a_loss_that_is_no_number_stops_the_run(make_config):
    with attached(make_config("model=mlp", *DIGITS, "train.lr=0.5")) as work:
        module = learner(work)
        module.network = Broken()  # type: ignore[assignment]
        batch = next(iter(work.data.train_dataloader()))
        for step in range(CHECK_EVERY - 1):
            module.training_step(batch, step)
        with pytest.raises(Diverged, match=r"not finite at train\.lr=0\.5"):
            module.training_step(batch, CHECK_EVERY - 1)


def test_weights_ruined_by_the_last_step_are_seen_on_the_select_split(make_config):
    with attached(make_config("model=mlp", *DIGITS)) as work:
        module = learner(work)
        module.training_step(next(iter(work.data.train_dataloader())), 0)  # a loss, and it is finite
        module.network = Broken()  # type: ignore[assignment]
        for batch in work.data.val_dataloader():
            module.validation_step(batch, 0)
        with pytest.raises(Diverged):
            module.on_validation_epoch_end()
        assert module.history == []
