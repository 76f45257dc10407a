"""What docs/performance.md says of each benchmark: a section, its table, and one figure for its history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

Found = dict[str, Any]


class Section(NamedTuple):
    """What the page says of a benchmark: its title, its table, and the figure that its history shows."""

    title: str
    about: str
    rows: Callable[[Found], list[tuple[str, str]]]
    figure: Callable[[Found], str]


def seconds(value: float) -> str:
    """Return seconds as one reads them."""
    return f"{value:.3f} s" if value < 1 else f"{value:.1f} s"


def milliseconds(value: float) -> str:
    """Return seconds as milliseconds, three digits at least."""
    return f"{value * 1000:,.0f} ms" if value >= 1 else f"{value * 1000:.3g} ms"


def times(found: Found) -> str:
    """Return a ratio with the lowest and the highest of its pairs."""
    return f"{found['ratio']:.2f} ({min(found['pairs']):.2f} to {max(found['pairs']):.2f})"


def versus(found: Found) -> list[tuple[str, str]]:
    """Return the main sweep and its peers."""
    size = f"{len(found['points'])} points, {found['train']} training and {found['test']} scored examples"
    how = f"ours (runtime.fuse={found['fuse']}, runtime.workers={found['workers']})"
    rows = [("size", size), (f"{how}, from the command line to the table", seconds(found["ours"]["seconds"]))]
    for name, peer in PEERS.items():
        if name in found:
            rows.append((peer, seconds(found[name]["seconds"])))
            rows.append((f"{name} over ours, wall clock", times(found[name])))
            rows.append((f"{name} over ours, training alone", f"{found[name]['training_ratio']:.2f}"))
    scores = [(name, found[name]["accuracies"]) for name in ("ours", *PEERS) if name in found]
    return rows + [(f"accuracies, {name}", ", ".join(f"{s:.3f}" for s in values)) for name, values in scores]


def fused(found: Found) -> list[tuple[str, str]]:
    """Return a sweep in groups and run by run."""
    return [
        (
            "size",
            f"{found['points']} points in groups of {found['group']}, {found['train']} training examples",
        ),
        ("run by run", seconds(found["seconds_separate"])),
        ("in groups", seconds(found["seconds_fused"])),
        ("run by run over in groups, wall clock", times(found["sweep"])),
        ("the same of training alone", times(found["training"])),
        ("largest difference of an accuracy", f"{found['accuracies_differ_by']:.3f}"),
    ]


def group_memory(found: Found) -> list[tuple[str, str]]:
    """Return what groups need beside one run."""
    limits = {"3": f", limit {found['limit']}"}
    return [
        (
            "one run" if runs == "1" else f"{runs} runs in one group",
            f"{size / 1e6:,.0f} MB: {found['ratios'][runs]:.2f}{limits.get(runs, '')}",
        )
        for runs, size in found["bytes"].items()
    ]


def single(found: Found) -> list[tuple[str, str]]:
    """Return one run of ours and of the Trainer, a model each."""
    rows = []
    for row in found["rows"]:
        name, sizes = row["case"], row["examples"]
        size = f"{sizes['train']} training, {sizes['select']} select and {sizes['test']} scored examples"
        rows += [
            (name, size),
            (f"{name}, training, ours", seconds(row["training_ours"])),
            (f"{name}, training, the Trainer's", seconds(row["training_trainer"])),
            (f"{name}, Trainer over ours, training", f"{times(row['training'])}, limit {found['limit']}"),
            (f"{name}, Trainer over ours, wall clock, checks included", times(row["wall"])),
            (f"{name}, accuracies", f"{row['accuracy_ours']:.3f} and {row['accuracy_trainer']:.3f}"),
        ]
    return rows


def step(found: Found) -> list[tuple[str, str]]:
    """Return our trainer and a bare loop."""
    return [
        ("a step of our trainer", seconds(found["seconds_ours"])),
        ("a step of a bare PyTorch loop", seconds(found["seconds_bare"])),
        ("ours over bare", f"{times(found)}, limit {found['limit']}"),
    ]


def packing(found: Found) -> list[tuple[str, str]]:
    """Return an epoch by how its batches are laid out."""
    names = {
        "padded": "random order, padded",
        "by_length": "by length, padded",
        "packed": "random order, packed",
    }
    return [
        *(
            (words, f"{seconds(found[f'seconds_{name}'])}, {found['tokens'][name]:,} tokens")
            for name, words in names.items()
        ),
        ("random order padded over packed", f"{times(found['padded_over_packed'])}, limit {found['limit']}"),
        ("by length over packed", times(found["by_length_over_packed"])),
        ("the first batch's losses differ by", f"{found['losses_differ_by']:.1e}"),
    ]


def compiled(found: Found) -> list[tuple[str, str]]:
    """Return steps with compiled layers, and when they pay."""
    pays = found["steps_until_it_pays"]
    return [
        ("a step", seconds(found["seconds_plain"])),
        ("a step with compiled layers", seconds(found["seconds_compiled"])),
        ("plain over compiled", times(found)),
        ("compiling", seconds(found["seconds_compiling"])),
        ("it pays after", "never" if pays is None else f"{pays:,} steps"),
    ]


def roofline(found: Found) -> list[tuple[str, str]]:
    """Return what the machine does at most, and what a step does."""
    rows = [
        (f"product of matrices, {name.replace('_', ', ')}", giga(rate))
        for name, rate in found["products_per_s"].items()
    ]
    return [
        *rows,
        ("copy", f"{found['copied_bytes_per_s'] / 1e9:.1f} GB/s"),
        ("a training step", f"{seconds(found['step_seconds'])}, {giga(found['achieved_per_s'])}"),
        ("share of the fastest product", f"{found['share']:.0%}"),
    ]


def giga(rate: float) -> str:
    """Return operations a second."""
    return f"{rate / 1e9:.0f} GFLOP/s"


def gpu(found: Found) -> list[tuple[str, str]]:
    """Return steps of a decoder by who takes them."""
    ways = {name: found[f"seconds_{name}"] for name in ("bare", "lightning", "trainer", "together")}
    size = f"{found['model']}, {found['weights']} weights, batch {found['batch']} x {found['tokens']} tokens"
    return [
        ("model", size),
        *((f"a step, {name}", seconds(value)) for name, value in ways.items()),
        ("Lightning over the bare loop", times(found["lightning_over_bare"])),
        ("Trainer over Lightning", times(found["trainer_over_lightning"])),
        (f"{found['adapters']} adapters apart over together", times(found["apart_over_together"])),
        *((f"peak memory, {name}", f"{size / 1e9:.1f} GB") for name, size in found["bytes"].items() if size),
    ]


def label_words(found: Found) -> list[tuple[str, str]]:
    """Return label-word scoring against generation, by number of solved examples."""
    return [
        (
            f"{'an instruction, ' if row.get('instruction') else ''}{row['solved_examples']} solved examples "
            f"({row['prefix_tokens']} tokens)",
            f"{seconds(row['seconds_ours'])} an example; batched generation takes {row['ratio_batched']:.2f} "
            f"times as long, one by one {row['ratio_one_by_one']:.2f}",
        )
        for row in found["rows"]
    ]


def start(found: Found) -> list[tuple[str, str]]:
    """Return how long commands take to start."""
    return [
        (
            row["case"],
            f"{row['seconds']:.2f} s ({row['from_to'][0]} to {row['from_to'][1]}), limit {row['limit']} s",
        )
        for row in found["rows"]
    ]


def sweep(found: Found) -> list[tuple[str, str]]:
    """Return where a sweep's time goes."""
    parts = ("work", "checks", "hashing", "saving", "start")
    return [
        (f"{found['points']} points", seconds(found["seconds"])),
        *((part, seconds(found[f"seconds_{part}"])) for part in parts),
        (
            "(wall clock - checks - hashing - saving - start) / work",
            f"{found['ratio']}, limit {found['limit']}",
        ),
        ("growth of the worker over ten points alike", f"{found['growth_bytes'] / 1e6:.0f} MB"),
    ]


def growth(found: Found) -> list[tuple[str, str]]:
    """Return how time grows with what there is more of."""
    rows = [
        (
            f"{sizes[0]} to {sizes[-1]} {name}",
            f"{milliseconds(each[0])} to {milliseconds(each[-1])} each: {found[name]['growth']:.2f}",
        )
        for name in ("examples", "tokens", "points")
        for sizes, each in [(found[name]["sizes"], found[name]["seconds_each"])]
    ]
    held = f"{found['points']['growth_bytes'] / 1e6:.0f} MB"
    return [*rows, ("held by the process, from the second to the last point", held)]


def tables(found: Found) -> list[tuple[str, str]]:
    """Return what a large table takes."""
    return [
        (f"{found['records']:,} records", f"{found['seconds']} s, limit {found['limit_seconds']} s"),
        ("memory", f"{found['bytes'] / 1e6:.0f} MB, limit {found['limit_bytes'] / 1e6:.0f} MB"),
    ]


PEERS = {
    "padded": "transformers' Trainer and PEFT, a process a point, padded to the maximum",
    "dynamic": "the same at its best: one process, grouped by length, no dropout",
}
SECTIONS = {
    "versus": Section(
        "The main sweep against transformers' Trainer",
        "LoRA and QLoRA at three ranks on film reviews, MiniLM, from an empty store. Ours scores each "
        "network before training too, loads what was saved, scores it again, merges it; the others do not.",
        versus,
        lambda found: ", ".join(f"{name} {found[name]['ratio']}" for name in PEERS if name in found),
    ),
    "fused": Section(
        "Runs in one pass",
        "LoRA at four ranks, three rates and two seeds, by one warm worker: `runtime.fuse` against one run "
        "after the other.",
        fused,
        lambda found: f"{found['sweep']['ratio']}",
    ),
    "group_memory": Section(
        "Memory of a group",
        "LoRA on MiniLM and film reviews, one worker: the largest resident set of its process, libraries and "
        "checks included.",
        group_memory,
        lambda found: ", ".join(f"{runs} runs {found['ratios'][runs]}" for runs in found["ratios"]),
    ),
    "single": Section(
        "One run against transformers' Trainer",
        "LoRA r 8: MiniLM on film reviews, two epochs, and SmolLM2-135M on MultiNLI, one; the Trainer at its "
        "best as above. The same batches in tokens; what is faster is scoring in batches that hold no more "
        "padding than pays, and a step without what the Trainer does around it.",
        single,
        lambda found: ", ".join(f"{row['case']} {row['training']['ratio']}" for row in found["rows"]),
    ),
    "step": Section(
        "One step",
        "MiniLM, LoRA r 8, a batch of 32, the same batches and kernels in a bare loop.",
        step,
        lambda found: f"{found['ratio']}",
    ),
    "packing": Section(
        "Packed batches",
        "SmolLM2-135M, LoRA r 8, instructions of Alpaca, batch 8: `runtime.packing` against padding in "
        "random order and by length, which is the default (`train.bucketing`).",
        packing,
        lambda found: f"{found['padded_over_packed']['ratio']}, {found['by_length_over_packed']['ratio']}",
    ),
    "compiled": Section(
        "Compiled layers",
        "MiniLM, LoRA r 8, a batch of 32, a bare loop: `runtime.compile` against none.",
        compiled,
        lambda found: f"{found['ratio']}",
    ),
    "roofline": Section(
        "What the machine could do",
        "A step of the bare loop; operations are those of matrix products, as PyTorch counts them.",
        roofline,
        lambda found: f"{found['share']:.0%}",
    ),
    "gpu": Section(
        "Steps of a decoder on a GPU",
        "LoRA r 8 on query and value, the next token's loss on random tokens.",
        gpu,
        lambda found: f"{found['model']}, apart over together {found['apart_over_together']['ratio']}",
    ),
    "label_words": Section(
        "Label words",
        "SmolLM2-135M in 32 bits, three classes; generation writes as many tokens as the longest label has, "
        "one by one ten. Without solved examples and instruction nothing is shared.",
        label_words,
        lambda found: ", ".join(f"{row['ratio_batched']:.2f}" for row in found["rows"]),
    ),
    "start": Section(
        "Starts", "What one waits for before anything is trained.", start, lambda found: "see its file"
    ),
    "sweep": Section(
        "What a sweep costs beside its training",
        "The main sweep by one worker with two threads.",
        sweep,
        lambda found: f"{found['ratio']}",
    ),
    "growth": Section(
        "How time grows",
        "MiniLM, LoRA r 8, one worker, sixteen times as many examples, tokens (of the longest text) and "
        "points; 1 is linear. Examples and tokens: training alone. Points: all that a point takes.",
        growth,
        lambda found: ", ".join(
            f"{name} {found[name]['growth']}" for name in ("examples", "tokens", "points")
        ),
    ),
    "tables": Section(
        "Large tables",
        "The table of made-up records, read from disk by a fresh process without PyTorch.",
        tables,
        lambda found: f"{found['seconds']} s",
    ),
}
