"""Write docs/performance.md from what the benchmarks found.

    python docs/make_performance.py [--take multirun/benchmarks | --check]

The histories stand in docs/results/performance, a JSON file a benchmark, oldest first; `--take` adds what was
measured since. The page shows the last measurement of each, and the main figure of those before.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results" / "performance"
PAGE = ROOT / "docs" / "performance.md"
HEAD = """# Performance

Medians of repeated measurements, ours and the other side in turn; the range stands beside a figure where
there is one. Each benchmark is one command, and no figure here was written by hand: `make bench` measures on
a CPU, `python docs/make_performance.py --take multirun/benchmarks` takes the results over. Small differences
mean little: such machines vary by several per cent from minute to minute.
"""

Found = dict[str, Any]


class Section(NamedTuple):
    """What the page says of a benchmark: its title, its table, and the figure that its history shows."""

    title: str
    about: str
    rows: Callable[[Found], list[tuple[str, str]]]
    figure: Callable[[Found], str]


def main() -> None:
    """Take results over if asked, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--take", type=Path, help="a folder of histories to take over")
    parser.add_argument(
        "--check", action="store_true", help="write nothing, and fail if the page is not up to date"
    )
    given = parser.parse_args()
    if given.check:
        if page() != PAGE.read_text(encoding="utf-8"):
            sys.exit(f"{PAGE} is not what the results say: run docs/make_performance.py")
        return
    if given.take:
        take(given.take)
    PAGE.write_text(page(), encoding="utf-8")
    print(f"written: {PAGE}")


def take(folder: Path) -> None:
    """Add the measurements of another folder that are not known yet."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.glob("*.json")):
        known = history(path.stem)
        new = [found for found in json.loads(path.read_text(encoding="utf-8")) if found not in known]
        whole = sorted([*known, *new], key=lambda found: found["measured"])
        (RESULTS / path.name).write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


def history(name: str) -> list[Found]:
    """Return what was measured, oldest first."""
    path = RESULTS / f"{name}.json"
    found: list[Found] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return found


def page() -> str:
    """Return the page as Markdown."""
    parts = [HEAD]
    for name, section in SECTIONS.items():
        if measured := history(name):
            parts.append(described(name, section, measured))
    return "\n".join(parts)


def described(name: str, section: Section, measured: Sequence[Found]) -> str:
    """Return the part of one benchmark: its last measurement, and one line for each before."""
    last = measured[-1]
    rows = "\n".join(f"| {what} | {figure} |" for what, figure in section.rows(last))
    text = f"## {section.title}\n\n{section.about}\n\n| | |\n|---|---|\n{rows}\n\n{origin(name, last)}\n"
    before = [
        f"- {found['measured'][:10]}, {place(found)}: {section.figure(found)}" for found in measured[:-1]
    ]
    return text + ("\nBefore:\n\n" + "\n".join(before[::-1]) + "\n" if before else "")


def origin(name: str, found: Found) -> str:
    """Return where the figures come from."""
    versions = ", ".join(f"{key} {found['versions'][key]}" for key in ("torch", "transformers", "peft"))
    commit = f", commit {found['commit'][:10]}" if found["commit"] else ""
    return f"*`python benchmarks/{name}.py`, {found['measured'][:10]}, {place(found)}; {versions}{commit}.*"


def place(found: Found) -> str:
    """Return the device, and how much of it was used."""
    return f"{found['device']}, {found['cores']} cores, {found['threads']} threads"


def seconds(value: float) -> str:
    """Return seconds as one reads them."""
    return f"{value:.3f} s" if value < 1 else f"{value:.1f} s"


def times(found: Found) -> str:
    """Return a ratio with the lowest and the highest of its pairs."""
    return f"{found['ratio']:.2f} ({min(found['pairs']):.2f} to {max(found['pairs']):.2f})"


def versus(found: Found) -> list[tuple[str, str]]:
    """Return the main sweep and its peers."""
    size = f"{len(found['points'])} points, {found['train']} training and {found['test']} scored examples"
    rows = [("size", size), ("ours, from the command line to the table", seconds(found["ours"]["seconds"]))]
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


def step(found: Found) -> list[tuple[str, str]]:
    """Return our trainer and a bare loop."""
    return [
        ("a step of our trainer", seconds(found["seconds_ours"])),
        ("a step of a bare PyTorch loop", seconds(found["seconds_bare"])),
        ("ours over bare", f"{times(found)}, limit {found['limit']}"),
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
            f"{row['solved_examples']} solved examples ({row['prefix_tokens']} tokens)",
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
    "step": Section(
        "One step",
        "MiniLM, LoRA r 8, a batch of 32, the same batches and kernels in a bare loop.",
        step,
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
        "one by one ten. Without solved examples nothing is shared.",
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
    "tables": Section(
        "Large tables",
        "The table of made-up records, read from disk by a fresh process without PyTorch.",
        tables,
        lambda found: f"{found['seconds']} s",
    ),
}


if __name__ == "__main__":
    main()
