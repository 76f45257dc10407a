"""The tables of docs/performance.md: a function a benchmark, from what it found to words and figures."""

from __future__ import annotations

from typing import Any

Found = dict[str, Any]

PEERS = {
    "padded": "transformers' Trainer and PEFT, a process a point, padded to the maximum",
    "dynamic": "the same at its best: one process, grouped by length, no dropout",
}


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
            (f"{name}, training, ours", _with_scoring(row, "ours")),
            (f"{name}, training, the Trainer's", _with_scoring(row, "trainer")),
            (f"{name}, Trainer over ours, training", f"{times(row['training'])}, limit {found['limit']}"),
            (f"{name}, Trainer over ours, wall clock, checks included", times(row["wall"])),
            (f"{name}, accuracies", f"{row['accuracy_ours']:.3f} and {row['accuracy_trainer']:.3f}"),
        ]
    return rows


def _with_scoring(row: Found, side: str) -> str:
    return f"{seconds(row[f'training_{side}'])}, {seconds(row[f'scoring_{side}'])} of it scoring"


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
            _what_all_begin_with(row),
            f"{seconds(row['seconds_ours'])} an example; batched generation takes {row['ratio_batched']:.2f} "
            f"times as long, one by one {row['ratio_one_by_one']:.2f}",
        )
        for row in found["rows"]
    ]


def _what_all_begin_with(row: Found) -> str:
    if row.get("instruction"):
        return "an instruction, no solved examples"
    return f"{row['solved_examples']} solved examples ({row['prefix_tokens']} tokens)"


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
