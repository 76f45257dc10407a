"""Write docs/performance.md from what the benchmarks found.

    python docs/make_performance.py [--take multirun/benchmarks | --check]

The histories stand in docs/results/performance, a JSON file a benchmark, oldest first; `--take` adds what was
measured since. The page shows the last measurement of each, and the main figure of those before.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark_rows import Found
from benchmark_sections import SECTIONS, Section

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results" / "performance"
PAGE = ROOT / "docs" / "performance.md"
HEAD = """# Performance

Medians of repeated measurements, ours and the other side in turn; the range stands beside a figure where
there is one. Each benchmark is one command, and no figure here was written by hand: `make bench` measures on
a CPU, `python docs/make_performance.py --take multirun/benchmarks` takes the results over. Small differences
mean little: such machines vary by several per cent from minute to minute.
"""


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


if __name__ == "__main__":
    main()
