"""Layers in the carrier that some run has changed: each run's version computes on that run's rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from tunesweep.fused.layout import Layout
from tunesweep.fused.low_rank import Updates

ACTIVE = "default"  # PEFT's name for the one adapter there is


class Slices(nn.Module):
    """Any layer: every run's own version, whole, on its rows [rows, ...] of every tensor that it takes."""

    def __init__(self, versions: Sequence[nn.Module], layout: Layout) -> None:
        super().__init__()
        self.versions, self.layout = nn.ModuleList(versions), layout
        self._random = [draws(version) for version in versions]

    def forward(self, *tensors: Tensor, **named: Any) -> Tensor:
        """Return what the versions return, in the order of the runs; what is named is no tensor."""
        parts = list(zip(*map(self.layout.split, tensors), strict=True))
        return torch.cat([self._of_run(run, part, named) for run, part in enumerate(parts) if len(part[0])])

    def _of_run(self, run: int, tensors: Sequence[Tensor], named: dict[str, Any]) -> Tensor:
        if not (self.training and self._random[run]):
            return self.versions[run](*tensors, **named)  # type: ignore[no-any-return]
        with self.layout.drawing(run):
            return self.layout.on_own_tokens(run, partial(self.versions[run], **named), *tensors)

    def __getattr__(self, name: str) -> Any:
        """Be asked what a layer is asked, such as for its dtype: the versions agree in that."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            versions: Any = super().__getattr__("versions")
            return getattr(versions[0], name)


class LinearSlices(Slices):
    """A linear layer with one frozen weight: the product with it is one for all runs."""

    def __init__(self, versions: Sequence[nn.Module], layout: Layout) -> None:
        super().__init__(versions, layout)
        self.base = base_of(versions[0])
        self._own_bias = any(_bias(version) is not _bias(versions[0]) for version in versions)

    def forward(self, *tensors: Tensor, **named: Any) -> Tensor:
        """Return [rows, ..., out] of inputs [rows, ..., in]."""
        runs = [run for run, size in enumerate(self.layout.sizes) if size]
        return self._together(tensors[0], runs) if self._alike(runs) else self._apart(tensors[0], runs)

    def _alike(self, runs: Sequence[int]) -> bool:
        """Whether these runs have low-rank updates, and as many rows each."""
        sizes = {self.layout.sizes[run] for run in runs}
        plain = all(hasattr(self.versions[run], "lora_A") for run in runs)
        return plain and len(sizes) == 1 and not self._own_bias

    def _together(self, inputs: Tensor, runs: Sequence[int]) -> Tensor:
        """Compute all updates at once; dropout is drawn for each run's own tokens."""
        versions: list[Any] = [self.versions[run] for run in runs]
        self.layout.times(inputs)  # rows are shared out by their number alone
        inputs = inputs.to(_compute_dtype(inputs, inputs.dtype))
        product: Tensor = self.base(inputs)
        factors = [version.lora_A[ACTIVE].weight for version in versions]
        factors += [version.lora_B[ACTIVE].weight for version in versions]
        dropped = self._dropped(inputs, runs).to(_compute_dtype(inputs, factors[0].dtype))
        scales = [version.scaling[ACTIVE] for version in versions]
        updates: Tensor = Updates.apply(dropped, scales, *factors)  # type: ignore[no-untyped-call]
        return (product + updates).to(product.dtype)

    def _dropped(self, inputs: Tensor, runs: Sequence[int]) -> Tensor:
        if not (self.training and any(self._random[run] for run in runs)):
            return inputs
        parts = self.layout.split(inputs)
        return torch.cat([self._drawn(run, self._dropout(run), parts[run]) for run in runs])

    def _dropout(self, run: int) -> Callable[[Tensor], Tensor]:
        version: Any = self.versions[run]
        layer: Callable[[Tensor], Tensor] = version.lora_dropout[ACTIVE]
        return layer

    def _apart(self, inputs: Tensor, runs: Sequence[int]) -> Tensor:
        parts = self.layout.split(inputs)
        scaled = [scale_in(self.versions[run], parts[run]) for run in runs]
        plain = all(new is parts[run] for run, new in zip(runs, scaled, strict=True))
        whole = inputs if plain else torch.cat(scaled)
        product = linear(whole, self.base.weight) if self._own_bias else self.base(whole)
        results = self.layout.split(product)
        return torch.cat([self._finished(run, parts[run], results[run]) for run in runs])

    def _finished(self, run: int, before: Tensor, result: Tensor) -> Tensor:
        version = self.versions[run]
        if self._own_bias:
            result = result + _bias(version).to(result.dtype)
        if hasattr(version, "ia3_l"):
            return result if version.is_feedforward else _scaled(version, result, result.dtype)
        if hasattr(version, "lora_A"):
            return (result + self._update(run, before)).to(result.dtype)
        return result

    def _update(self, run: int, before: Tensor) -> Tensor:
        """Return a low-rank update; dropout is drawn for the run's own tokens."""
        return self._drawn(run, partial(low_rank, self.versions[run]), before)

    def _drawn(self, run: int, layer: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
        if not (self.training and self._random[run]):
            return layer(inputs)
        with self.layout.drawing(run):
            return self.layout.on_own_tokens(run, layer, inputs)


def draws(module: nn.Module) -> bool:
    """Whether a module draws random numbers in training."""
    return any(isinstance(part, nn.Dropout) and part.p > 0 for part in module.modules())


def base_of(version: nn.Module) -> Any:
    """Return the layer that PEFT has wrapped, or the layer itself."""
    return version.base_layer if hasattr(version, "base_layer") else version


def _compute_dtype(inputs: Tensor, otherwise: torch.dtype) -> torch.dtype:
    """Return what products with these inputs are computed in: what autocast says, if it is on."""
    kind = inputs.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else otherwise


def low_rank(version: Any, inputs: Tensor) -> Tensor:
    """Return PEFT's update of LoRA (arXiv:2106.09685): B A x, scaled, after dropout of x."""
    first, second = version.lora_A[ACTIVE], version.lora_B[ACTIVE]
    if not torch.is_autocast_enabled(inputs.device.type):
        inputs = inputs.to(first.weight.dtype)
    found: Tensor = second(first(version.lora_dropout[ACTIVE](inputs))) * version.scaling[ACTIVE]
    return found


def scale_in(version: Any, inputs: Tensor) -> Tensor:
    """Return the inputs of a feed-forward layer as (IA)3 scales them (arXiv:2205.05638)."""
    scales = hasattr(version, "ia3_l") and version.is_feedforward
    return _scaled(version, inputs, inputs.dtype) if scales else inputs


def _scaled(version: Any, values: Tensor, dtype: torch.dtype) -> Tensor:
    found: Tensor = (values * version.ia3_l[ACTIVE].flatten()).to(dtype)
    return found


def _bias(version: nn.Module) -> Any:
    return base_of(version).bias


def one_product(versions: Sequence[nn.Module]) -> bool:
    """Whether these versions of a linear layer come down to one frozen weight and what is simple to add."""
    bases = [base_of(version) for version in versions]
    weights = [getattr(base, "weight", None) for base in bases]
    shared = all(weight is not None and weight is weights[0] for weight in weights)
    return shared and all(map(_simple, versions)) and not weights[0].requires_grad  # type: ignore[union-attr]


def _simple(version: Any) -> bool:
    if type(version) is nn.Linear:
        return True
    module = type(version).__module__
    if module.startswith("peft.tuners.lora"):
        alone = list(version.lora_A) == [ACTIVE] and not version.lora_variant and not version.merged
        return alone and isinstance(version.base_layer, nn.Linear)
    return module.startswith("peft.tuners.ia3") and isinstance(version.base_layer, nn.Linear)
