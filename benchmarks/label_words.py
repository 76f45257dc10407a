"""Seconds per example of label-word scoring against generating the label, SmolLM2-135M in 32 bits.

Pairs of texts are asked for one of three relations, by the names of MultiNLI's classes: with nothing before
them, with an instruction, and with one and with two solved examples of each class, the same for all. Three
ways are timed in turn, so that a machine that grows slower slows all; figures are medians of processor time,
which other work on the machine touches least, and with one thread is the time on a quiet one:

- ours: the readout `label_words` as a run scores its test split, weights and batches as below;
- batched: transformers' `generate`, greedy, padded on the left, as many tokens as the longest label has;
- one by one: `generate` of ten tokens, without batches, on a part of the examples.

The result is printed and kept by results.py. Exit 1 where, after two solved examples
of each class, ours is not at least three times as fast as batched generation. With nothing before them there
is nothing to share: both read a prompt once, and labels of one or two tokens cost little beside it.
"""

from __future__ import annotations

import csv
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from results import keep

from tunesweep import door
from tunesweep.config import RunConfig
from tunesweep.data.batches import Batch
from tunesweep.data.module import DataModule
from tunesweep.models.backbone import build_network
from tunesweep.models.prompted import word_ids
from tunesweep.models.readouts import Readout
from tunesweep.models.tokenizer import load_tokenizer
from tunesweep.scoring import at_rest
from tunesweep.silence import quiet_libraries

LABELS = ("entailment", "neutral", "contradiction")
EXAMPLES, BATCH, ALONE, PAIRS = 32, 16, 1, 3
ASK = "{text}\\nQuestion: {text_pair} Entailment, neutral or contradiction?\\nAnswer:"
INSTRUCTION = (
    "Read the two sentences. Say entailment if the second one must be true whenever the first one is, "
    "contradiction if it cannot be true then, and neutral if the first one does not tell. Write one word.\\n"
)
CASES = ((0, ""), (0, INSTRUCTION), (1, ""), (2, ""))  # solved examples of a class; the limit: of the last
LIMIT = 3.0  # seconds of batched generation over ours
CPU = torch.device("cpu")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, quiet_libraries():
        write_pairs(Path(folder) / "pairs.csv")
        rows = [measured(point(folder, *case)) | {"instruction": bool(case[1])} for case in CASES]
    whole = {"model": "smollm2_135m", "rounds": PAIRS, "limit": LIMIT, "examples": EXAMPLES, "batch": BATCH}
    keep("label_words", whole | {"rows": rows})
    sys.exit(rows[-1]["ratio_batched"] < LIMIT)


def write_pairs(path: Path) -> None:
    """Write sentences of the embedded film reviews in pairs, under made-up relations: only time counts."""
    door.register()
    with initialize_config_dir(str(door.conf_folder()), version_base="1.3"):
        config = door.to_run_config(compose("config"))
    data = DataModule(config, load_tokenizer(config.model, Path(config.runtime.cache)), "")
    texts = [text for text in data.splits.train.inputs if 40 < len(text) < 140]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["premise", "hypothesis", "label"])
        for number in range(200):
            writer.writerow([texts[2 * number], texts[2 * number + 1], LABELS[number % 3]])


def point(folder: str, shots: int, instruction: str) -> RunConfig:
    method = ["method=few_shot", f"method.shots.k={shots}", "method.shots.per_class=true"]
    data = ["dataset=files", f"dataset.train={folder}/pairs.csv", "dataset.text=premise"]
    data += ["dataset.text_pair=hypothesis", f"dataset.limit={{train: 60, select: 12, test: {EXAMPLES}}}"]
    read = [
        "encoding=pair",
        "encoding.max_length=256",
        "readout=label_words",
        f"readout.prompt='{instruction}{ASK}'",
    ]
    read += ["train.precision=fp32"]
    place = [f"runtime.store={folder}", f"runtime.eval_batch_size={BATCH}"]
    with initialize_config_dir(str(door.conf_folder()), version_base="1.3"):
        cfg = compose("config", overrides=["model=smollm2_135m", *method, *data, *read, *place])
    return door.to_run_config(cfg)


def measured(config: RunConfig) -> dict[str, Any]:
    """Return the medians of all three ways, and what was read."""
    data = DataModule(config, load_tokenizer(config.model, Path(config.runtime.cache)), "")
    network, batches = build_network(config, data, CPU), list(data.test_dataloader())
    words = {name: len(ids[0]) for name, ids in word_ids(config, data).items()}
    whole = [_with_prefix(batch, data) for batch in batches]
    alone = [row[None, real.bool()] for pair in whole for row, real in zip(*pair, strict=True)][:ALONE]
    singles = [(ids, torch.ones_like(ids)) for ids in alone]
    ways: dict[str, tuple[Callable[[], object], int]] = {
        "ours": (lambda: score(network, batches), EXAMPLES),
        "batched": (lambda: generate(network, whole, max(words.values())), EXAMPLES),
        "one_by_one": (lambda: generate(network, singles, 10), ALONE),
    }
    rounds = [one_round(network, ways) for _ in range(PAIRS + 1)][1:]  # the first one warms up
    found: dict[str, Any] = {f"seconds_{name}": median(seconds[name] for seconds in rounds) for name in ways}
    return {
        "solved_examples": config.method.shots.k * len(LABELS),
        "prefix_tokens": len(data.prefix),
        "mean_tokens_after_it": sum(data.lengths("test")) / EXAMPLES,
        "label_tokens": words,
        **found,
        "ratio_batched": found["seconds_batched"] / found["seconds_ours"],
        "ratio_one_by_one": found["seconds_one_by_one"] / found["seconds_ours"],
        "ratios_batched": [seconds["batched"] / seconds["ours"] for seconds in rounds],
    }


def one_round(network: Readout, ways: dict[str, tuple[Callable[[], object], int]]) -> dict[str, float]:
    """Return seconds per example of each way; as in a run, what is remembered lasts for one pass only."""
    seconds = {}
    for name, (way, count) in ways.items():
        with at_rest(network, "fp32"):
            began = time.process_time()
            way()
            seconds[name] = (time.process_time() - began) / count
    return seconds


def score(network: Readout, batches: Iterable[Batch]) -> None:
    for batch in batches:
        network(batch)


def generate(network: Readout, rows: Iterable[tuple[torch.Tensor, torch.Tensor]], tokens: int) -> None:
    """Write exactly so many tokens after each prompt."""
    for ids, mask in rows:
        network.body.generate(  # type: ignore[operator]
            ids, attention_mask=mask, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False
        )


def _with_prefix(batch: Batch, data: DataModule) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ids and mask with the solved examples before every prompt, padded on the left."""
    rows = zip(batch["input_ids"], batch["attention_mask"].bool(), strict=True)
    joined = [torch.cat((torch.tensor(data.prefix, dtype=torch.long), ids[mask])) for ids, mask in rows]
    masks = [torch.ones_like(row) for row in joined]
    pad = {"batch_first": True, "padding_side": "left"}
    ids = torch.nn.utils.rnn.pad_sequence(joined, padding_value=data.tokenizer.pad_token_id, **pad)  # type: ignore[arg-type]
    return ids, torch.nn.utils.rnn.pad_sequence(masks, **pad)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
