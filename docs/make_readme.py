"""Paste the table of a finished main sweep between the marks of README.md.

make demo && python docs/make_readme.py
"""

from __future__ import annotations

import argparse
import io
import re
import sys
from pathlib import Path

from rich.console import Console

from tunesweep.record import RunRecord
from tunesweep.report.render import build, show
from tunesweep.report.rows import Scope
from tunesweep.store import Store

README = Path(__file__).parents[1] / "README.md"
MARKS = ("<!-- made by docs/make_readme.py: begin -->", "<!-- made by docs/make_readme.py: end -->")
WIDTH = 100  # what a pipe gets, and what fits on the page
RUNS = 6  # of the main sweep


def main() -> None:
    """Rewrite the part of the README that lies between the marks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--store", type=Path, default=Path("multirun"))
    parser.add_argument("--sweep", help="id of the sweep; the last one if absent")
    given = parser.parse_args()
    text = README.read_text(encoding="utf-8")
    README.write_text(replaced(text, output(Store(given.store), given.sweep)), encoding="utf-8")


def output(store: Store, sweep: str | None) -> str:
    """Return the table as a terminal shows it, and a line on what it was made with."""
    sweep = sweep or store.last_sweep()
    records = [store.get(name) for name in (store.get_sweep(sweep or "none") or {"members": []})["members"]]
    done = [record for record in records if record is not None and record.status == "succeeded"]
    if len(done) != RUNS or len(records) != RUNS:
        sys.exit(f"{store.root} has {len(done)} of {RUNS} runs of the main sweep: run make demo")
    page = io.StringIO()
    show(build(store, Scope(sweep)), Console(file=page, width=WIDTH))
    lines = (line.rstrip() for line in page.getvalue().strip("\n").split("\n"))
    return "```text\n" + "\n".join(lines) + f"\n```\n\n{caption(done)}"


def caption(records: list[RunRecord]) -> str:
    """Say on what the runs were made, and how long they took in all."""
    made = records[0].provenance
    versions = ", ".join(f"{name} {made['versions'][name]}" for name in ("torch", "transformers", "peft"))
    minutes = sum(record.cost["minutes"] for record in records)
    date = max(record.finished for record in records)[:10]
    place = f"{made['device']}, threads: {made['threads']}"
    return f"*{place}; {versions}; six runs in {minutes:.1f} minutes; one seed; {date}.*"


def replaced(text: str, part: str) -> str:
    """Return the text with the part between the marks."""
    begin, end = map(re.escape, MARKS)
    whole = re.compile(f"({begin}\n).*?({end})", re.DOTALL)
    if not whole.search(text):
        sys.exit(f"{README.name} lacks the marks {MARKS[0]} and {MARKS[1]}: put them where the table belongs")
    return whole.sub(lambda found: f"{found[1]}{part}\n{found[2]}", text)


if __name__ == "__main__":
    main()
