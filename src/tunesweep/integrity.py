"""The checks that each row passes before it may be believed (R9-R11, R16)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from tunesweep.config import RunConfig
from tunesweep.data.module import DataModule
from tunesweep.errors import IntegrityError
from tunesweep.methods.attach import is_head
from tunesweep.methods.names import bare
from tunesweep.models.backbone import base_dtype, four_bit_layers
from tunesweep.models.readouts import Readout
from tunesweep.scoring import Ask, score
from tunesweep.tasks.task import Scored, Task

Hashed = Callable[[torch.Tensor], str]
SAMPLE = 32  # examples scored at batch 1 and at batch B
# The same weights give the same numbers on a CPU; on a GPU kernels may add up in another order.
RELOAD_LIMITS = {"cpu": 1e-6, "cuda": 3e-3}
CHANGE = "batch_size_change"
LIMITS = {"fp32": 1e-4, "bf16": 0.03}  # largest change in a label's probability


def hash_of(tensor: torch.Tensor) -> str:
    """Return a hash of a tensor's bytes."""
    data = tensor.detach().contiguous().view(-1).view(torch.uint8).cpu().numpy()
    return hashlib.sha256(data.data).hexdigest()


class HashedOnce:
    """`hash_of`, for networks that hold the same tensors, and as long as none of them is trained."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[torch.Tensor, str]] = {}  # the tensor too, that no other has its id

    def __call__(self, tensor: torch.Tensor) -> str:
        """Return `hash_of` a tensor as it was when it was first asked for."""
        if id(tensor) not in self._known:
            self._known[id(tensor)] = tensor, hash_of(tensor)
        return self._known[id(tensor)][1]


def digests(network: nn.Module, hashed: Hashed = hash_of) -> dict[str, str]:
    """Return a hash of every parameter, by the name it had before a method wrapped it."""
    return {bare(name, network): hashed(parameter) for name, parameter in network.named_parameters()}


def check_base(before: dict[str, str], network: nn.Module, hashed: Hashed = hash_of) -> int:
    """Fail unless every weight that is not trained is what it was to the bit; return how many there are."""
    frozen = {bare(n, network): p for n, p in network.named_parameters() if not p.requires_grad}
    trained = {bare(n, network) for n, p in network.named_parameters() if p.requires_grad}
    lost = [name for name in before if name not in frozen and name not in trained]
    changed = [
        name for name, parameter in frozen.items() if name in before and hashed(parameter) != before[name]
    ]
    if lost or changed:
        raise IntegrityError(
            f"{len(lost + changed)} frozen tensors changed in training, {(lost + changed)[0]} first"
        )
    return len(frozen)


def check_trained(
    before: dict[str, torch.Tensor], after: dict[str, torch.Tensor], config: RunConfig
) -> dict[str, float]:
    """Fail when the adapter or the head learned nothing, or is not finite; return how far each moved."""
    moved = {}
    for part, wanted in (("adapter", False), ("head", True)):
        names = [name for name in before if is_head(name, config) is wanted]
        if names:
            moved[f"{part}_change"] = _distance(before, after, names, f"method={config.method.name}, {part}")
    return moved


def _distance(
    before: dict[str, torch.Tensor], after: dict[str, torch.Tensor], names: list[str], part: str
) -> float:
    norm = float(sum(((after[name] - before[name]).double() ** 2).sum() for name in names) ** 0.5)
    if not np.isfinite(norm):
        raise IntegrityError(f"{part}: the weights are not finite after training: lower train.lr")
    if norm == 0:
        raise IntegrityError(f"{part}: training changed none of its weights: no gradient reached them")
    return norm


def check_four_bit(network: nn.Module, config: RunConfig) -> int:
    """Fail unless a quantised base still is; return the number of 4-bit layers."""
    if config.method.quantisation != "nf4":
        return 0
    layers = four_bit_layers(network)
    if not layers or any(layer.weight.dtype != torch.uint8 for layer in layers):
        raise IntegrityError("the base is no longer held in 4 bits: it was cast or merged on the way")
    return len(layers)


def check_batch_size(
    network: Readout, data: DataModule, config: RunConfig, task: Task, ask: Ask = score
) -> dict[str, float]:
    """Fail when probabilities depend on batch size or padding (R11); return the largest change.

    Where the base is held in 32 bits it is also asked there, because in bf16 a forgotten mask can hide
    among rounding errors.
    """
    exact = base_dtype(config) == torch.float32 and not config.method.quantisation
    own = config.train.precision
    found = _compare_batch_sizes(network, data, task, own, ask)
    if exact and own != "fp32":
        found["batch_size_change_fp32"] = _compare_batch_sizes(network, data, task, "fp32", ask)[CHANGE]
    return found


def _compare_batch_sizes(
    network: Readout, data: DataModule, task: Task, precision: str, ask: Ask
) -> dict[str, float]:
    sizes = (1, max(task.config.runtime.eval_batch_size, SAMPLE))
    alone, together = (
        task.probabilities(
            ask(network, data.sample_dataloader(SAMPLE, size, padded=True), precision, task.look)
        )
        for size in sizes
    )
    change = float(np.abs(alone - together).max())
    flipped = int((alone.argmax(1) != together.argmax(1)).sum())
    # Two nearly equal labels of a hardly trained head swap at the smallest change: no sign of padding.
    if change > LIMITS[precision] or (flipped > 1 and change > LIMITS["fp32"]):
        raise IntegrityError(
            f"probabilities change by {change:.2g} and {flipped} of {len(alone)} labels flip between "
            f"batch sizes 1 and {sizes[1]} (limit {LIMITS[precision]}): padding or attention mask is wrong"
        )
    return {CHANGE: change, "batch_size_flipped": flipped}


def check_reload(saved: np.ndarray, reloaded: np.ndarray, device: torch.device) -> float:
    """Fail when the saved artefact, on a fresh base, does not give the same probabilities (R9)."""
    change = float(np.abs(saved - reloaded).max())
    flipped = int((saved.argmax(1) != reloaded.argmax(1)).sum())
    if flipped or change > RELOAD_LIMITS[device.type]:
        raise IntegrityError(
            "the saved artefact gives other predictions when loaded again: "
            f"{flipped} of {len(saved)} labels differ, probabilities by up to {change:.2g}"
        )
    return change


def check_off(off: Scored, base: Scored) -> bool:
    """Fail unless a network with its adapter switched off says what its base says, to the bit."""
    odd = [key for key, values in base.seen.items() if not np.array_equal(off.seen[key], values)]
    odd += [key for key, values in base.columns.items() if off.columns[key] != values]
    if odd:
        raise IntegrityError(
            f"with the adapter switched off, the network gives other {odd[0]} than the base it began with: "
            "the adapter has changed the base"
        )
    return True


def check_labels(confusion: Sequence[Sequence[int]] | None, names: Sequence[str]) -> None:
    """Fail when accuracy is far below chance (R16); name the permutation of labels that fits best."""
    from scipy.optimize import linear_sum_assignment

    table = np.asarray(confusion or [[0]])
    n, right = table.sum(), np.trace(table)
    if not n:  # no classes, or no answer that could be read
        return
    chance = (table.sum(0) * table.sum(1)).sum() / n**2  # of guessing with these frequencies
    if right / n >= chance - 4 * np.sqrt(chance * (1 - chance) / n):
        return
    rows, columns = linear_sum_assignment(-table)
    fits = ", ".join(f"{names[i]} -> {names[j]}" for i, j in zip(rows, columns, strict=True) if i != j)
    raise IntegrityError(
        f"accuracy {right / n:.3f} is far below chance ({chance:.3f}): labels permuted? "
        f"{fits} would give {table[rows, columns].sum() / n:.3f}"
    )
