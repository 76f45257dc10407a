"""What docs/performance.md says of each benchmark: a section, its table, and one figure for its history."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import benchmark_rows as rows
from benchmark_rows import PEERS, Found


class Section(NamedTuple):
    """What the page says of a benchmark: its title, its table, and the figure that its history shows."""

    title: str
    about: str
    rows: Callable[[Found], list[tuple[str, str]]]
    figure: Callable[[Found], str]


SECTIONS = {
    "versus": Section(
        "The main sweep against transformers' Trainer",
        "LoRA and QLoRA at three ranks on film reviews, MiniLM, from an empty store. Ours scores each "
        "network before training too, loads what was saved, scores it again, merges it; the others do not.",
        rows.versus,
        lambda found: ", ".join(f"{name} {found[name]['ratio']}" for name in PEERS if name in found),
    ),
    "fused": Section(
        "Runs in one pass",
        "LoRA at four ranks, three rates and two seeds, by one warm worker: `runtime.fuse` against one run "
        "after the other.",
        rows.fused,
        lambda found: f"{found['sweep']['ratio']}",
    ),
    "group_memory": Section(
        "Memory of a group",
        "LoRA on MiniLM and film reviews, one worker: the largest resident set of its process, libraries and "
        "checks included.",
        rows.group_memory,
        lambda found: ", ".join(f"{runs} runs {found['ratios'][runs]}" for runs in found["ratios"]),
    ),
    "single": Section(
        "One run against transformers' Trainer",
        "LoRA r 8: MiniLM on film reviews, two epochs, and SmolLM2-135M on MultiNLI, one; the Trainer at its "
        "best as above. Both group by length, in the same precision and attention; training holds the steps "
        "and the scoring of the select split, which ours does in batches that end where padding would cost "
        "more than another pass.",
        rows.single,
        lambda found: ", ".join(f"{row['case']} {row['training']['ratio']}" for row in found["rows"]),
    ),
    "step": Section(
        "One step",
        "MiniLM, LoRA r 8, a batch of 32, the same batches and kernels in a bare loop.",
        rows.step,
        lambda found: f"{found['ratio']}",
    ),
    "packing": Section(
        "Packed batches",
        "SmolLM2-135M, LoRA r 8, instructions of Alpaca, batch 8: `runtime.packing` against padding in "
        "random order and by length, which is the default (`train.bucketing`).",
        rows.packing,
        lambda found: f"{found['padded_over_packed']['ratio']}, {found['by_length_over_packed']['ratio']}",
    ),
    "compiled": Section(
        "Compiled layers",
        "MiniLM, LoRA r 8, a batch of 32, a bare loop: `runtime.compile` against none.",
        rows.compiled,
        lambda found: f"{found['ratio']}",
    ),
    "roofline": Section(
        "What the machine could do",
        "A step of the bare loop; operations are those of matrix products, as PyTorch counts them.",
        rows.roofline,
        lambda found: f"{found['share']:.0%}",
    ),
    "gpu": Section(
        "Steps of a decoder on a GPU",
        "LoRA r 8 on query and value, the next token's loss on random tokens.",
        rows.gpu,
        lambda found: f"{found['model']}, apart over together {found['apart_over_together']['ratio']}",
    ),
    "label_words": Section(
        "Label words",
        "SmolLM2-135M in 32 bits, three classes; generation writes as many tokens as the longest label has, "
        "one by one ten. Without solved examples and instruction nothing is shared.",
        rows.label_words,
        lambda found: ", ".join(f"{row['ratio_batched']:.2f}" for row in found["rows"]),
    ),
    "start": Section(
        "Starts", "What one waits for before anything is trained.", rows.start, lambda found: "see its file"
    ),
    "sweep": Section(
        "What a sweep costs beside its training",
        "The main sweep by one worker with two threads.",
        rows.sweep,
        lambda found: f"{found['ratio']}",
    ),
    "growth": Section(
        "How time grows",
        "MiniLM, LoRA r 8, one worker, sixteen times as many examples, tokens (of the longest text) and "
        "points; 1 is linear. Examples and tokens: training alone. Points: all that a point takes.",
        rows.growth,
        lambda found: ", ".join(
            f"{name} {found[name]['growth']}" for name in ("examples", "tokens", "points")
        ),
    ),
    "tables": Section(
        "Large tables",
        "The table of made-up records, read from disk by a fresh process without PyTorch.",
        rows.tables,
        lambda found: f"{found['seconds']} s",
    ),
}
