"""One way of serving, measured in a process of its own: `python -m tunesweep.serving.measure JSON`.

The argument is a plan; what is printed, as JSON on one line, is what was measured. Memory is what the
process holds more than before anything was loaded, after every model or adapter has answered once and all
of its weights have been read.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
import warnings
from dataclasses import asdict, dataclass, field
from typing import Any

ROUNDS = 7  # of swaps; the median counts


@dataclass
class Plan:
    """What is to be loaded, and how."""

    way: str  # copies, adapters
    auto: str  # class of transformers
    folders: list[str]  # whole models, or adapters
    base: str = ""
    heads: list[str] = field(default_factory=list)  # modules that each adapter has one of its own of
    dtype: str = "float32"
    device: str = "cpu"
    ids: list[int] = field(default_factory=list)  # a text, as tokens
    rounds: int = ROUNDS


@dataclass
class Measured:
    """Bytes held, seconds of a swap, and what each model answers to the text."""

    bytes: int
    swap_s: float
    answers: list[list[float]]


def measure(plan: Plan) -> Measured:
    """Load, ask, and swap; see the module's text."""
    return {"copies": _copies, "adapters": _adapters}[plan.way](plan)


def _copies(plan: Plan) -> Measured:
    """Hold every model at once; a swap is the loading of one that is not held."""
    before = held(plan)
    models = [_load(plan, folder) for folder in plan.folders]
    answers = [_ask(model, plan) for model in models]
    _touch(models)
    held_bytes = held(plan) - before
    del models
    return Measured(held_bytes, _median(plan, lambda folder: _load(plan, folder)), answers)


def _adapters(plan: Plan) -> Measured:
    """Hold one base and every adapter; a swap is the choice of another adapter."""
    before = held(plan)
    model, names = _with_adapters(plan)
    answers = []
    for name in names:
        model.set_adapter(name)
        answers.append(_ask(model, plan))
    _touch([model])
    held_bytes = held(plan) - before
    places = dict(zip(plan.folders, names, strict=True))
    return Measured(held_bytes, _median(plan, lambda folder: model.set_adapter(places[folder])), answers)


def _with_adapters(plan: Plan) -> tuple[Any, list[str]]:
    from peft import PeftModel

    names = [f"task{number}" for number in range(len(plan.folders))]
    base, first = _load(plan, plan.base), plan.folders[0]
    with warnings.catch_warnings():
        # Heads of other shapes are passed over here, and put in their places below.
        warnings.filterwarnings("ignore", message="(?s).*ignore_mismatched_sizes.*")
        model = PeftModel.from_pretrained(base, first, adapter_name=names[0], ignore_mismatched_sizes=True)
        for name, folder in zip(names[1:], plan.folders[1:], strict=True):
            model.load_adapter(folder, adapter_name=name, ignore_mismatched_sizes=True)
    for name, folder in zip(names, plan.folders, strict=True):
        _own_head(model, plan, name, folder)
    return model.eval(), names


def _own_head(model: Any, plan: Plan, name: str, folder: str) -> None:
    """Give an adapter's head the file's shapes: each task has as many classes as it has."""
    import torch
    from safetensors.torch import load_file

    heads = tuple(f"base_model.model.{head}." for head in plan.heads)
    tensors = load_file(f"{folder}/adapter_model.safetensors")
    for key, tensor in tensors.items():
        if key.startswith(heads):
            head = next(head for head in heads if key.startswith(head))
            path, _, own = f"{head}modules_to_save.{name}.{key.removeprefix(head)}".rpartition(".")
            parameter = torch.nn.Parameter(tensor.to(plan.device), requires_grad=False)
            setattr(model.get_submodule(path), own, parameter)


def _load(plan: Plan, folder: str) -> Any:
    import torch
    import transformers

    auto = getattr(transformers, plan.auto)
    return auto.from_pretrained(folder, dtype=getattr(torch, plan.dtype)).to(plan.device).eval()


def _ask(model: Any, plan: Plan) -> list[float]:
    """Return numbers that stand for what a model says: the logits or states of the last token."""
    import torch

    ids = torch.tensor([plan.ids], device=plan.device)
    with torch.inference_mode():
        found = model(input_ids=ids)[0]
    return [float(value) for value in found.reshape(-1, found.shape[-1])[-1][:64]]


def _touch(models: list[Any]) -> None:
    """Read every weight: a file is mapped into memory, and pages that nobody has read take no place yet."""
    for model in models:
        for parameter in model.parameters():
            parameter.sum()


def _median(plan: Plan, swap: Any) -> float:
    """Return the median seconds of a swap; files are in the operating system's cache by then."""
    import torch

    times = []
    for number in range(max(plan.rounds, len(plan.folders))):
        began = time.perf_counter()
        swap(plan.folders[number % len(plan.folders)])
        if plan.device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def held(plan: Plan) -> int:
    """Return the bytes that are held: on a GPU by tensors there, else by the process."""
    import gc

    import torch

    gc.collect()
    if plan.device == "cuda":
        return int(torch.cuda.memory_allocated())
    import psutil

    return int(psutil.Process().memory_info().rss)


def main(text: str) -> None:
    """Carry out a plan and print what was measured."""
    import peft  # noqa: F401 - the libraries themselves are no part of what is measured
    import transformers

    from tunesweep.silence import quiet_libraries

    plan = Plan(**json.loads(text))
    getattr(transformers, plan.auto)
    with quiet_libraries():
        print(json.dumps(asdict(measure(plan))))


if __name__ == "__main__":
    main(sys.argv[1])
