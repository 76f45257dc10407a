"""Paste the table of a finished main sweep between the marks of README.md.

make demo && python docs/make_readme.py --take multirun   # the last sweep, kept from now on
python docs/make_readme.py [--check]                       # from what docs/results keeps
"""

from __future__ import annotations

import argparse
import io
import re
import sys
from pathlib import Path

from kept import RESULTS, take
from rich.console import Console

from tunesweep.record import RunRecord
from tunesweep.report.render import build, show
from tunesweep.report.rows import Scope
from tunesweep.store import Store

README = Path(__file__).parents[1] / "README.md"
MARKS = ("<!-- made by docs/make_readme.py: begin -->", "<!-- made by docs/make_readme.py: end -->")
KEPT = RESULTS / "main_sweep"
WIDTH = 100  # what a pipe gets, and what fits on the page
RUNS = 6  # of the main sweep


def main() -> None:
    """Rewrite the part of the README that lies between the marks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--take", type=Path, help="a store whose last sweep is kept from now on")
    parser.add_argument("--check", action="store_true", help="write nothing, fail if it is out of date")
    given = parser.parse_args()
    if given.take:
        store = Store(given.take)
        sweep = store.last_sweep() or "none"
        finished(store, sweep)
        take(store, sweep, KEPT)
    text = README.read_text(encoding="utf-8")
    new = replaced(text, output(Store(KEPT)))
    if given.check:
        sys.exit("README.md is not what its records say: run docs/make_readme.py" if new != text else 0)
    README.write_text(new, encoding="utf-8")


def finished(store: Store, sweep: str) -> list[RunRecord]:
    """Return the runs of the main sweep."""
    records = [store.get(name) for name in (store.get_sweep(sweep) or {"members": []})["members"]]
    done = [record for record in records if record is not None and record.status == "succeeded"]
    if len(done) != RUNS or len(records) != RUNS:
        sys.exit(f"{store.root} has {len(done)} of {RUNS} runs of the main sweep: run make demo")
    return done


def output(store: Store) -> str:
    """Return the table as a terminal shows it, and a line on what it was made with."""
    sweep = store.last_sweep() or "none"
    done = finished(store, sweep)
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
