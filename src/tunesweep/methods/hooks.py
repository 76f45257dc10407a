"""What a method does beside the optimiser: functions that `method.hook` names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunesweep.config import RunConfig
from tunesweep.errors import require

if TYPE_CHECKING:
    from tunesweep.models.readouts import Readout

# AdaLoRA's three phases as shares of all steps: the scripts of its authors (arXiv:2303.10512) spend 6 to 17 %
# before the first rank is given up, and 44 to 59 % after the last one.
INITIAL, FINAL = 0.1, 0.5
IMPORTANCE = ("ipt", "exp_avg_ipt", "exp_avg_unc")  # PEFT's names for moving means, by parameter


class Hook:
    """Does nothing: what a method without a hook does."""

    def prepare(self, network: Readout, total: int) -> None:
        """Learn, before the first step, how many there will be."""

    def before_step(self, network: Readout) -> None:
        """Change the gradients of a whole batch before they are clipped and used."""

    def after_step(self, network: Readout, step: int, total: int) -> None:
        """Change the network after a step, counted from 0; its gradients are still there."""

    def state(self, network: Readout) -> dict[str, Any]:
        """Return what the next step depends on beside weights and gradients."""
        return {}

    def take_up(self, network: Readout, state: dict[str, Any]) -> None:
        """Put that back."""

    def settle(self, network: Readout) -> None:
        """Give a network that learns no more the form in which it is loaded; twice is as once."""


class AdaLora(Hook):
    """Ranks are given up one by one, the least important first (arXiv:2303.10512)."""

    def prepare(self, network: Readout, total: int) -> None:
        """Lay out the phases; of very few steps each phase has one."""
        settings = _tuner(network).peft_config["default"]
        settings.total_step = max(total, 3)
        settings.tinit = min(int(INITIAL * total), settings.total_step - 2)
        settings.tfinal = max(1, min(int(FINAL * total), settings.total_step - settings.tinit - 1))
        _tuner(network).rankallocator.reset_ipt()  # of an attempt that ran out of memory

    def before_step(self, network: Readout) -> None:
        """Add the gradient of the regulariser that keeps singular vectors orthogonal.

        PEFT adds its value to a loss of the model's own, and readouts compute theirs elsewhere. It is
        weight * mean over A and B of ||P P' - I||, whose gradient in A is 2 (A A' - I) A / ||A A' - I||.
        """
        import torch

        tuner = _tuner(network)
        weight = tuner.peft_config["default"].orth_reg_weight
        vectors = [(n, p) for n, p in tuner.named_parameters() if "lora_A." in n or "lora_B." in n]
        for name, parameter in vectors:
            if parameter.grad is None:
                continue
            rows = parameter.detach() if "lora_A." in name else parameter.detach().T
            surplus = rows @ rows.T - torch.eye(len(rows), device=rows.device)
            slope = 2 * surplus @ rows / surplus.norm().clamp(min=1e-12)
            slope = slope if "lora_A." in name else slope.T
            parameter.grad.add_(slope, alpha=weight / len(vectors))

    def after_step(self, network: Readout, step: int, total: int) -> None:
        """Weigh every rank by its gradient, and switch off those beyond the budget."""
        _tuner(network).update_and_allocate(step)

    def state(self, network: Readout) -> dict[str, Any]:
        """Return how important each rank has been so far, and which are switched off."""
        allocator = _tuner(network).rankallocator
        pattern = _tuner(network).peft_config["default"].rank_pattern
        return {name: getattr(allocator, name) for name in IMPORTANCE} | {"rank_pattern": pattern}

    def take_up(self, network: Readout, state: dict[str, Any]) -> None:
        """Put that back, beside the weights that it belongs to."""
        tuner = _tuner(network)
        weights = dict(tuner.model.named_parameters())
        tuner.peft_config["default"].rank_pattern = state["rank_pattern"]
        for name in IMPORTANCE:
            found = {key: value.to(weights[key].device) for key, value in state[name].items()}
            setattr(tuner.rankallocator, name, found)

    def settle(self, network: Readout) -> None:
        """Drop the ranks that are switched off, as PEFT does on loading: other shapes round otherwise.

        The weights say which: an earlier epoch may have had more than the last.
        """
        tuner = _tuner(network)
        settings = tuner.peft_config["default"]
        singular = {n: p for n, p in tuner.model.named_parameters() if ".lora_E." in n}
        if any(len(values) < settings.init_r for values in singular.values()):
            return
        pattern = {name: (values != 0).flatten().tolist() for name, values in singular.items()}
        for kept in pattern.values():
            kept[0] = kept[0] or not any(kept)  # a layer without any rank keeps one of zero: PEFT wants some
        settings.rank_pattern = pattern
        tuner.resize_modules_by_rank_pattern(pattern, "default")


HOOKS: dict[str | None, Hook] = {None: Hook(), "adalora": AdaLora()}


def find(config: RunConfig) -> Hook:
    """Return what `method.hook` names."""
    require(config.method.hook, HOOKS, "method.hook")
    return HOOKS[config.method.hook]


def prepare(network: Readout, config: RunConfig, total: int) -> None:
    """Call the method's hook before the first of `total` optimiser steps."""
    find(config).prepare(network, total)


def before_step(network: Readout, config: RunConfig) -> None:
    """Call the method's hook when a batch's gradients are complete and not yet clipped."""
    find(config).before_step(network)


def after_step(network: Readout, config: RunConfig, step: int, total: int) -> None:
    """Call the method's hook after optimiser step `step` (from 0) of `total`."""
    find(config).after_step(network, step, total)


def state(network: Readout, config: RunConfig) -> dict[str, Any]:
    """Return what the method's hook keeps from step to step: tensors and plain data."""
    return find(config).state(network)


def take_up(network: Readout, config: RunConfig, state: dict[str, Any]) -> None:
    """Give the method's hook back what it kept."""
    find(config).take_up(network, state)


def settle(network: Readout, config: RunConfig) -> None:
    """Call the method's hook when nothing more is learned."""
    find(config).settle(network)


def _tuner(network: Readout) -> Any:
    return network.body.base_model
