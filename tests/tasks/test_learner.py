"""The loss, its weights, the optimiser's groups and schedule: each against its formula."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import samples
from tunesweep.errors import BadConfig, Diverged
from tunesweep.tasks.course import CHECK_EVERY, OPTIMIZERS
from tunesweep.tasks.learner import Learner
from workplace import DIGITS, FEW, attached, tiny

STEPS, RATE = 40, 0.01


def learner(work: Any) -> Learner:
    return Learner(work.network, work.config, work.data, work.task)


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


@pytest.mark.parametrize("weighting", ["null", "balanced"])
def test_a_step_is_the_mean_of_weighted_cross_entropies(make_config, weighting):
    with attached(make_config("model=mlp", *DIGITS, f"train.class_weights={weighting}")) as work:
        module = learner(work)
        batch = next(iter(work.data.train_dataloader()))
        logits, labels = module.network(batch), batch["labels"]
        weights = work.task.class_weights if weighting == "balanced" else torch.ones(10)
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


BATCH, MICRO = 8, 3
WRITTEN: dict[str, Callable[[Path], tuple[str, ...]]] = {
    "written classes": samples.answers,
    "instruction": samples.sums,
    "language modeling": samples.counting,
}


def surprises(body: torch.nn.Module, batch: dict[str, torch.Tensor]) -> Iterator[torch.Tensor]:
    """Yield the negative log-likelihoods of a row's scored tokens: each row alone, by the bare model."""
    for row in range(len(batch["index"])):
        ids, scored = batch["input_ids"][row][batch["attention_mask"][row].bool()], 0
        if "answer_ids" in batch:
            answer = batch["answer_ids"][row][batch["answer_mask"][row].bool()]
            ids, scored = torch.cat((ids, answer)), len(answer)
        else:
            scored = int(batch["scored"][row])
        chances = body(input_ids=ids[None]).logits[0].log_softmax(-1)[:-1]
        yield -chances.gather(1, ids[1:, None])[-scored:, 0]


def gradients(network: torch.nn.Module, loss: torch.Tensor, keep: bool = False) -> dict[str, torch.Tensor]:
    network.zero_grad()
    loss.backward(retain_graph=keep)
    return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


def gap(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """Return the largest difference as a share of the largest gradient."""
    assert one.keys() == other.keys()
    largest = max(float(grad.abs().max()) for grad in other.values())
    return max(float((one[name] - other[name]).abs().max()) for name in one) / largest


@pytest.mark.parametrize("kind", WRITTEN)
def test_accumulation_weighs_every_token_alike(make_config, tmp_path, kind):
    """Of 13 rows in batches of 8, the second has 5; micro-batches of 3 hold tokens in unequal numbers."""
    few = ("dataset.limit.train=13", f"train.batch_size={BATCH}", f"runtime.micro_batch={MICRO}")
    few = few[1:] if kind == "language modeling" else few
    words = (*tiny("random_llama"), *WRITTEN[kind](tmp_path), "method=full", *few)
    with attached(make_config(*words)) as work:
        module, parts = learner(work), work.data.batches.accumulation
        assert (parts, len(work.data.rows["train"])) == (3, 13)
        told = list(enumerate(work.data.train_dataloader()))
        for group in (0, 1):
            mine = [(place, batch) for place, batch in told if place // parts == group]
            each = [torch.cat(list(surprises(work.network.body, batch))) for _, batch in mine]
            # As Lightning does: each loss over the number of micro-batches, also in the last batch.
            added = torch.stack([module.training_step(batch, place) / parts for place, batch in mine]).sum()
            plain, careless = torch.cat(each).mean(), torch.stack([part.mean() for part in each]).mean()
            assert added.item() == pytest.approx(plain.item(), rel=1e-5)
            expected = gradients(work.network, plain, keep=True)
            assert gap(gradients(work.network, added), expected) < 1e-4
            assert gap(gradients(work.network, careless), expected) > 1e-3


def test_states_of_eight_bits_lead_where_those_of_32_do(make_config):
    """The first three steps of `torch.optim.AdamW`, on the same gradients."""
    paths = {}
    for name in ("adamw", "adamw_8bit"):
        torch.manual_seed(0)
        weight = torch.nn.Parameter(torch.randn(96, 64))  # 4,096 values or more are held in 8 bits
        start, target = weight.detach().clone(), torch.randn(96, 64)
        optimizer = OPTIMIZERS[name]([{"params": [weight], "weight_decay": 0.1}], RATE)
        for _ in range(3):
            optimizer.zero_grad()
            (weight - target).pow(2).sum().backward()
            optimizer.step()
        paths[name] = weight.detach() - start
        kinds = {value.dtype for value in optimizer.state[weight].values() if torch.is_tensor(value)}
        assert (torch.uint8 in kinds) is (name == "adamw_8bit")
    assert float(paths["adamw"].abs().mean()) > 2 * RATE
    assert float((paths["adamw"] - paths["adamw_8bit"]).abs().mean()) < 0.1 * RATE


def test_pages_need_a_gpu(make_config, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    words = ("model=mlp", *DIGITS, "train.optimizer=paged_adamw_8bit")
    with (
        attached(make_config(*words)) as work,
        pytest.raises(BadConfig, match="there is no GPU here: use adamw_8bit or adamw"),
    ):
        optimisation(work)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train.monitor=accuracy"], "train.monitor=accuracy is not an option: choose one of auto, loss"),
        (["train.class_weights=balanced"], "train.class_weights=balanced weighs classes"),
    ],
)
def test_what_the_loss_of_tokens_does_not_know_is_refused(make_config, tmp_path, words, said):
    config = make_config(*tiny("random_llama"), *samples.answers(tmp_path), "method=full", *words)
    with pytest.raises(BadConfig, match=said), attached(config):
        pass
