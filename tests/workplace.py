"""A point's stages one by one, for tests that look between them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from typing import Any

import torch

from tunesweep import identity, stages
from tunesweep.config import RunConfig
from tunesweep.record import draft
from tunesweep.scoring import autocast
from tunesweep.silence import quiet_libraries
from tunesweep.store import Store

FEW = (
    *("dataset.limit.train=32", "dataset.limit.select=8", "dataset.limit.test=24"),
    *("encoding.max_length=48", "train.epochs=1", "train.batch_size=8"),
)
TINY = {  # the random models, smaller still
    "random_bert": ("hidden_size=32", "intermediate_size=64", "num_attention_heads=2", "num_hidden_layers=1"),
    "random_llama": (
        *("hidden_size=32", "intermediate_size=64", "num_attention_heads=2", "num_key_value_heads=1"),
        "num_hidden_layers=1",
    ),
    "random_t5": ("d_model=32", "d_kv=16", "d_ff=64", "num_heads=2", "num_layers=1", "num_decoder_layers=1"),
}
DIGITS = ("dataset=digits", "method=full", "train.precision=fp32")


def tiny(model: str) -> tuple[str, ...]:
    """Return the words that choose a random model of one layer, in 32 bits."""
    return (f"model={model}", "train.precision=fp32", *(f"model.architecture.{w}" for w in TINY[model]))


@contextmanager
def at_work(config: RunConfig) -> Iterator[stages.Workplace]:
    """Seeded, with its data, before a network exists."""
    identity.identify(config)
    store = Store(config.runtime.store)
    with quiet_libraries(), stages.Workplace(config, store, draft(config)) as work:
        stages.prepare(work)
        stages.load_data(work)
        yield work


@contextmanager
def attached(config: RunConfig) -> Iterator[stages.Workplace]:
    """With its network, method attached, nothing trained."""
    with at_work(config) as work:
        stages.load_network(work)
        yield work


def load(config: RunConfig) -> None:
    """Come as far as an attached network, or fail."""
    with attached(config):
        pass


@contextmanager
def trained(config: RunConfig) -> Iterator[stages.Workplace]:
    """Trained and scored."""
    with attached(config) as work:
        stages.train(work)
        stages.evaluate(work)
        yield work


def learn(work: stages.Workplace, steps: int, lr: float = 2e-3) -> list[float]:
    """Take AdamW steps on the first train batches by a plain loop; return the losses."""
    parameters = [p for p in work.network.parameters() if p.requires_grad]
    optimizer, losses = torch.optim.AdamW(parameters, lr=lr), []
    work.network.train()
    batches: list[dict[str, Any]] = list(work.data.train_dataloader())[:1]
    for batch in islice(cycle(batches), steps):
        optimizer.zero_grad()
        with autocast(torch.device("cpu"), work.config.train.precision):
            loss = work.task.losses(work.network, batch).sum() / work.task.terms(batch).sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
