"""Steps of a decoder: bare loop, Lightning, transformers' Trainer, and several adapters in one pass.

Random weights at published architectures, LoRA r 8 on query and value, the next token's loss, bf16. Needs
torch, transformers, peft and Lightning alone, of any recent version. The ways take turns; figures are medians
of rounds, after steps that warm up.

    python benchmarks/gpu.py [--model llama_1b,llama2_7b] [--rounds 5] [--steps 20] [--adapters 4]

`--weights FOLDER` takes real weights of one model. `--model tiny` shows on a CPU that all of it works.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import peft
import pytorch_lightning as pl
import torch
import transformers
from torch import Tensor
from torch.utils.data import DataLoader

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))  # a clone that is not installed

from results import keep, ratio

from tunesweep.fused.carrier import carrier, twin
from tunesweep.fused.layout import Layout
from tunesweep.models.readouts import Readout

# hidden, feed-forward, layers, heads, heads of keys and values, vocabulary: each model's config.json
SIZES = {
    "llama2_7b": (4096, 11008, 32, 32, 32, 32000),
    "llama3_8b": (4096, 14336, 32, 32, 8, 128256),
    "llama_1b": (2048, 8192, 16, 32, 8, 128256),  # Llama-3.2-1B
    "tiny": (64, 128, 2, 4, 2, 256),
}
NAMES = (
    *("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
    *("num_key_value_heads", "vocab_size"),
)
WARM = 3
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
Way = Callable[[Any, list[Tensor]], float]


def main() -> None:
    given = arguments()
    for name in given.model.split(","):
        keep("gpu", {"model": name} | measured(name, given))
        release()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--model", default="llama_1b,llama2_7b,llama3_8b")
    parser.add_argument("--weights", help="a folder with real weights")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--adapters", type=int, default=4, help="in one pass")
    return parser.parse_args()


def measured(name: str, given: argparse.Namespace) -> dict[str, Any]:
    """Return medians of seconds a step of every way, ratios, and peak memory."""
    bare = loaded(name, given.weights)
    batches = drawn(bare, given)
    ways: dict[str, Callable[[], float]] = {
        "bare": lambda: plain(adapted(bare), batches),
        "lightning": lambda: lightning(adapted(bare), batches),
        "trainer": lambda: trainer(adapted(bare), batches),
        "together": lambda: together(bare, batches, given.adapters),
    }
    rounds, memory = [], {}
    for number in range(given.rounds):
        order = list(ways) if number % 2 == 0 else list(ways)[::-1]
        seconds = {}
        for way in order:
            seconds[way], memory[way] = watched(ways[way])
        rounds.append(seconds)
    columns = {way: [each[way] for each in rounds] for way in ways}
    apart = [seconds * given.adapters for seconds in columns["bare"]]
    return {
        "weights": "real" if given.weights else "random",
        "batch": given.batch,
        "tokens": given.tokens,
        "adapters": given.adapters,
        **{f"seconds_{way}": median(column) for way, column in columns.items()},
        "bytes": memory,
        "lightning_over_bare": ratio(columns["lightning"], columns["bare"]),
        "trainer_over_lightning": ratio(columns["trainer"], columns["lightning"]),
        "apart_over_together": ratio(apart, columns["together"]),
    }


def loaded(name: str, weights: str | None) -> Readout:
    """Return a model in bf16 on the device, frozen."""
    if weights:
        model = transformers.AutoModelForCausalLM.from_pretrained(weights, dtype=torch.bfloat16)
    else:
        torch.manual_seed(0)
        config = transformers.LlamaConfig(**dict(zip(NAMES, SIZES[name], strict=True)))
        with torch.device(DEVICE):
            model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.config.use_cache = False
    return Readout(model.to(DEVICE).requires_grad_(False))


def adapted(bare: Readout) -> Readout:
    """Return a network with an adapter of its own around the same frozen weights."""
    network = twin(bare)
    lora = peft.LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    network.body = peft.get_peft_model(network.body, lora)
    return network.to(DEVICE)


def drawn(bare: Readout, given: argparse.Namespace) -> list[Tensor]:
    """Return token ids [batch, tokens] of every step."""
    generator = torch.Generator().manual_seed(0)
    shape, words = (given.batch, given.tokens), int(bare.body.config.vocab_size)  # type: ignore[union-attr, arg-type]
    return [torch.randint(words, shape, generator=generator) for _ in range(WARM + given.steps)]


def trained(network: Any) -> list[torch.nn.Parameter]:
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def loss_of(network: Any, ids: Tensor) -> Any:
    with torch.autocast(DEVICE.type, dtype=torch.bfloat16):
        return network.body(input_ids=ids, labels=ids).loss


def plain(network: Readout, batches: list[Tensor]) -> float:
    """Return seconds a step of a loop as short as it can be."""
    network.train()
    optimizer = torch.optim.AdamW(trained(network), lr=1e-4, fused=DEVICE.type == "cuda")
    watch = Watch(len(batches))
    for ids in batches:
        loss_of(network, ids.to(DEVICE)).backward()
        optimizer.step()
        optimizer.zero_grad()
        watch.tick()
    return watch.seconds


class Watch:
    """Counts the time of all steps but the first few."""

    def __init__(self, steps: int) -> None:
        self.steps, self.done, self.began, self.seconds = steps, 0, 0.0, 0.0

    def tick(self) -> None:
        """Note that a step has been queued."""
        self.done += 1
        if self.done == WARM:
            self.began = now()
        elif self.done == self.steps:
            self.seconds = (now() - self.began) / (self.steps - WARM)


def now() -> float:
    """Return the clock once the device has done what it was asked."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


class Module(pl.LightningModule):
    """The same step under Lightning."""

    def __init__(self, network: Readout, watch: Watch) -> None:
        super().__init__()
        self.network, self.watch = network, watch

    def training_step(self, ids: Tensor, _: int) -> Any:
        """Return the loss."""
        return self.network.body(input_ids=ids, labels=ids).loss  # type: ignore[operator]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdamW, fused where there is a GPU."""
        return torch.optim.AdamW(trained(self.network), lr=1e-4, fused=DEVICE.type == "cuda")

    def on_train_batch_end(self, *_: Any) -> None:
        """Count a step."""
        self.watch.tick()


def lightning(network: Readout, batches: list[Tensor]) -> float:
    """Return seconds a step of Lightning's trainer, set up as ours is."""
    watch = Watch(len(batches))
    quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
    found = pl.Trainer(
        accelerator="gpu" if DEVICE.type == "cuda" else "cpu",
        devices=1,
        precision="bf16-mixed",
        max_epochs=1,
        enable_model_summary=False,
        **quiet,
    )
    found.fit(Module(network.train(), watch), DataLoader(batches, batch_size=None))  # type: ignore[arg-type]
    network.to(DEVICE)
    return watch.seconds


def trainer(network: Readout, batches: list[Tensor]) -> float:
    """Return seconds a step of transformers' Trainer."""
    watch = Watch(len(batches))

    class Clock(transformers.TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            watch.tick()

    rows = [{"input_ids": row, "labels": row} for ids in batches for row in ids]
    with tempfile.TemporaryDirectory() as folder:
        settings = transformers.TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=len(batches[0]),
            num_train_epochs=1,
            bf16=True,
            use_cpu=DEVICE.type == "cpu",
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            optim="adamw_torch_fused" if DEVICE.type == "cuda" else "adamw_torch",
        )
        transformers.Trainer(
            model=network.body, args=settings, train_dataset=rows, callbacks=[Clock()]
        ).train()
    return watch.seconds


def together(bare: Readout, batches: list[Tensor], count: int) -> float:
    """Return seconds of a step in which each of several adapters sees a batch of its own."""
    networks = [adapted(bare).train() for _ in range(count)]
    layout = Layout([])
    whole = carrier(bare, networks, layout).train()
    optimizers = [
        torch.optim.AdamW(trained(network), lr=1e-4, fused=DEVICE.type == "cuda") for network in networks
    ]
    watch = Watch(len(batches))
    for ids in shifted(batches, count):
        merged = layout.merge([{"input_ids": own, "index": torch.arange(len(own))} for own in ids], 0)
        (loss_of(whole, merged["input_ids"].to(DEVICE)) * count).backward()  # the mean is over all of them
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        watch.tick()
    return watch.seconds


def shifted(batches: list[Tensor], count: int) -> Iterator[list[Tensor]]:
    """Yield a batch for each adapter, another one for each."""
    for place in range(len(batches)):
        yield [batches[(place + run) % len(batches)] for run in range(count)]


def watched(way: Callable[[], float]) -> tuple[float, int | None]:
    """Return seconds a step, and the peak of allocated bytes on a GPU."""
    release()
    if DEVICE.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    seconds = way()
    return seconds, torch.cuda.max_memory_allocated() if DEVICE.type == "cuda" else None


def release() -> None:
    gc.collect()
    if DEVICE.type == "cuda":
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
