"""What is measured against a fresh backbone: the score before training, a reload, a merge, an adapter off."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tunesweep import specialisation
from tunesweep.config import RunConfig
from tunesweep.data.module import Answers, DataModule
from tunesweep.identity import canonical, digest
from tunesweep.methods import artefact
from tunesweep.methods.attach import is_head
from tunesweep.methods.switch import off
from tunesweep.models.backbone import base_dtype
from tunesweep.models.readouts import Readout
from tunesweep.scoring import Seen, score
from tunesweep.stats.proportion import wilson
from tunesweep.tasks.task import Scored, Task

if TYPE_CHECKING:
    from tunesweep.stages import Workplace

RELOADED = 32  # examples that are seen again after a reload, to the bit: a lost tensor shows in any
MERGED = 256  # examples that are scored again after a merge
REMEMBERED = 4  # bare backbones whose score is kept for the next points of a process

_BEFORE: dict[str, Scored] = {}


def before(network: Readout, config: RunConfig, task: Task) -> Scored:
    """Return what the bare backbone says of the test split (R19); points that share it ask once."""
    key = _bare(config)
    if key not in _BEFORE:
        while len(_BEFORE) >= REMEMBERED:
            _BEFORE.pop(next(iter(_BEFORE)))
        _BEFORE[key] = task.evaluate(network)
    return _BEFORE[key]


def _bare(config: RunConfig) -> str:
    """Return what stands for a backbone before its method, and for what it is asked."""
    parts = canonical(config)
    asked = {key: parts.get(key) for key in ("model", "dataset", "encoding", "readout", "seeds")}
    point, runtime = config.runtime.point, config.runtime
    return digest(
        [
            *(asked, point.model_fingerprint, point.data_fingerprint, asdict(config.method.shots)),
            *(config.method.quantisation, str(base_dtype(config)), config.train.precision),
            *(config.train.dropout, runtime.packing, runtime.attention, runtime.kernels),
            runtime.eval_batch_size,
        ]
    )


def comparison(
    task: Task, bare: Scored, scored: Scored, answers: Answers, config: RunConfig
) -> dict[str, Any]:
    """Return the score before training, whether the row beats it by more than its interval, and more."""
    found = task.judge(bare, answers).metrics
    compared: dict[str, Any] = {"before": found}
    if interval := scored.metrics.get("interval"):  # of one window there is none
        low, high = interval
        start = found.get(task.metric, math.inf)  # a perplexity that no float holds is left out
        compared["learned"] = bool(start < low if task.higher else start > high)
    if config.dataset.train_classes:
        compared |= _specialisation(scored.metrics, found, task.data.names, config.dataset.train_classes)
    return compared


def _specialisation(
    on: dict[str, Any], off: dict[str, Any], names: list[str], trained: list[str]
) -> dict[str, Any]:
    """Return what training on some classes alone did; whether it learned is asked of these classes."""
    support = {name: row["support"] for name, row in off["per_class"].items()}
    figures = specialisation.compare(on["confusion"], off["confusion"], names, trained, support)
    n = round(sum(support[name] for name in trained))
    low = wilson(n - figures["errors"], n)[0]
    return {"specialisation": figures, "learned": bool(1 - figures["errors_off"] / n < low)}


def look_again(
    network: Readout, data: DataModule, config: RunConfig, task: Task, count: int = RELOADED
) -> Seen:
    """Return what a network says of the first examples."""
    batches = data.sample_dataloader(count, config.runtime.eval_batch_size)
    return score(network, batches, config.train.precision, task.look)


def switched_off(
    network: Readout, untrained: dict[str, torch.Tensor], config: RunConfig, task: Task
) -> Scored | None:
    """Return what is said with the adapter switched off, where the base is another run's whole model."""
    if not config.model.init_from or (config.method.peft is None and config.method.layers is None):
        return None
    with off(network), _head_as_it_was(network, untrained, config):
        return task.evaluate(network)


@contextmanager
def _head_as_it_was(
    network: Readout, untrained: dict[str, torch.Tensor], config: RunConfig
) -> Iterator[None]:
    """Undo what the head learned: only those that PEFT wraps are switched off with the adapter."""
    parameters = dict(network.named_parameters())
    before = {name: tensor for name, tensor in untrained.items() if is_head(name, config)}
    learned = {name: parameters[name].detach().clone() for name in before}
    artefact.restore(network, before)
    try:
        yield
    finally:
        artefact.restore(network, learned)


def forget_head(network: Readout, config: RunConfig) -> None:
    """Draw the head of a bare network anew: one that was not saved will show after a reload."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if is_head(name, config):
                parameter.normal_()


def merge(work: Workplace, network: Readout) -> dict[str, Any]:
    """Merge into bf16 weights, and return the score after it minus the score before, on the sample (R13)."""
    from tunesweep.methods.merging import merged

    before = _unmerged(work, network)
    plain = replace(work.config, method=replace(work.config.method, quantisation=None))
    if work.config.method.quantisation:
        network = work.new_network(plain)
        artefact.load(network, plain, work.artefact)
    whole = merged(network)
    if plain.train.precision == "fp32":  # rounded to bf16 all the same, and many CPUs cannot compute in it
        whole = whole.float()
    after = look_again(whole.to(work.device), work.data, plain, work.task, MERGED)
    return merge_figures(work.task, before, after, _labels(work))


def _unmerged(work: Workplace, network: Readout) -> Seen:
    """Return what was said of the sample with the test split; ask again where that was not read."""
    seen, asked = work.scored.seen, work.sample
    if work.data.sampled != "test" or not set(asked) <= set(seen):
        return look_again(network, work.data, work.config, work.task, MERGED)
    return {key: seen[key][:MERGED] for key in asked}


def merge_figures(task: Task, unmerged: Seen, again: Seen, labels: np.ndarray | None) -> dict[str, Any]:
    """Return n, the metric's change, and the largest change of a probability."""
    one, other = (task.quick(seen, labels) for seen in (unmerged, again))
    metric = task.metric if task.metric in one else "perplexity"
    difference = np.abs(task.probabilities(unmerged) - task.probabilities(again)).max()
    return {
        "n": len(next(iter(again.values()))),
        "metric": metric,
        "score_change": other[metric] - one[metric],
        "probability_change": float(difference),
    }


def _labels(work: Workplace) -> np.ndarray | None:
    """Return the labels of the sample, where it has some."""
    return work.answers[:MERGED] if isinstance(work.answers, np.ndarray) else None
