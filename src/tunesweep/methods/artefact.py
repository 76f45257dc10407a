"""What a run keeps of its weights: PEFT's own format where there is one, else plain safetensors."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from tunesweep.config import RunConfig
from tunesweep.errors import IntegrityError
from tunesweep.methods import bottleneck, hooks, options, virtual
from tunesweep.methods.attach import promised
from tunesweep.models.readouts import Readout

TRAINED, HEAD = "trained.safetensors", "head.safetensors"


def trained_state(network: Readout) -> dict[str, torch.Tensor]:
    """Return what is trained, by parameter name, on the CPU."""
    return {
        n: _whole(p).detach().to("cpu", copy=True).contiguous()
        for n, p in network.named_parameters()
        if p.requires_grad
    }


def _whole(parameter: torch.Tensor) -> torch.Tensor:
    """Return a tensor of which each process may hold a part (DTensor); then all of them ask together."""
    whole: torch.Tensor = parameter.full_tensor() if hasattr(parameter, "full_tensor") else parameter
    return whole


def restore(network: Readout, state: dict[str, torch.Tensor]) -> None:
    """Put trained tensors back in place."""
    parameters = dict(network.named_parameters())
    with torch.no_grad():
        for name, tensor in state.items():
            parameters[name].copy_(tensor)


def save(network: Readout, config: RunConfig, folder: Path) -> None:
    """Write what was trained, and nothing else, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if config.method.peft is None:
        save_file(trained_state(network), str(folder / TRAINED))
        return
    hooks.settle(network, config)
    _in_order(network.body)
    # "auto" would ask the hub whether the vocabulary was changed.
    network.body.save_pretrained(str(folder), save_embedding_layers=False)  # type: ignore[operator]
    if network.head is not None:
        save_file({k: v.contiguous() for k, v in network.head.state_dict().items()}, str(folder / HEAD))


def _in_order(model: Any) -> None:
    """Let a run write the same file each time: the order of the sets in which PEFT keeps names varies."""
    for config in model.peft_config.values():
        for key, value in vars(config).items():
            if isinstance(value, set):
                setattr(config, key, sorted(value))


def load(network: Readout, config: RunConfig, folder: Path) -> None:
    """Put a saved artefact onto a fresh network, as a user would."""
    if config.method.layers is not None:
        bottleneck.insert(network.body, options.read(config.method.layers))
    if config.method.peft is None:
        state = load_file(str(folder / TRAINED))
        wanted = {name for name, _ in network.named_parameters() if promised(name, config)}
        if wanted != set(state):
            raise IntegrityError(
                f"{folder / TRAINED} holds {len(state)} tensors where {len(wanted)} were promised"
            )
        restore(network, state)
        return
    try:
        network.body = _wrapped(network.body, folder)
        virtual.settle(network.body)
        if network.head is not None:
            network.head.load_state_dict(load_file(str(folder / HEAD)))
    except (KeyError, RuntimeError) as error:  # PEFT and torch on a tensor that is not in the file
        raise IntegrityError(f"{folder} does not hold all that was trained: {error}") from error


def _wrapped(body: nn.Module, folder: Path) -> nn.Module:
    from peft import PeftModel

    with warnings.catch_warnings():
        # AdaLoRA's ranks are of its own kind, which PEFT reads, and yet warns of.
        warnings.filterwarnings("ignore", message="The following rank_pattern keys did not match")
        found: nn.Module = PeftModel.from_pretrained(body, str(folder))
    return found


def size(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
