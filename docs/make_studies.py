"""Write docs/studies/NAME.md from the records of a finished study, which docs/results/studies keeps.

    python docs/make_studies.py nli_methods --take multirun   # the last sweep of a store, kept from now on
    python docs/make_studies.py [--check]                     # all pages, from what is kept

The last sweep is meant whose command named the experiment, with `--scale full` the last at its own scale, for
a page called NAME_full.md; nothing is trained.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kept import RESULTS, take, without_places

from tunesweep.record import RunRecord
from tunesweep.report.render import markdown_blocks
from tunesweep.report.rows import Scope
from tunesweep.store import Store

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "studies"
KEPT = RESULTS / "studies"
PAGE = """# Study: `{name}`, scale {scale}

{about}

```bash
{command}
```

{tables}

## How it was measured

{facts}

Made by `python docs/make_studies.py {name}` from the records of sweep `{sweep}`.
"""


def main() -> None:
    """Take over the studies that were named, and write the page of each that is kept."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("studies", nargs="*", help="names of experiments; all that are kept if absent")
    parser.add_argument("--take", type=Path, help="a store whose last sweep of each is kept from now on")
    parser.add_argument("--scale", choices=["full"], help="of this scale; the page is then NAME_full.md")
    parser.add_argument(
        "--check", action="store_true", help="write nothing, and fail if a page is not up to date"
    )
    given = parser.parse_args()
    titles = [f"{name}_{given.scale}" if given.scale else name for name in given.studies]
    if given.take:
        for name, title in zip(given.studies, titles, strict=True):
            store = Store(given.take)
            take(store, find(name, store, given.scale)[0], KEPT / title)
    for title in titles or sorted(path.name for path in KEPT.iterdir()):
        see_to(title, given.check)


def see_to(title: str, check: bool) -> None:
    """Write a page, or compare it with what its records say."""
    path, text = PAGES / f"{title}.md", page(title.removesuffix("_full"), Store(KEPT / title))
    if not check:
        path.write_text(text, encoding="utf-8")
        print(f"written: {path}")
    elif text != path.read_text(encoding="utf-8"):
        sys.exit(f"{path} is not what its records say: run docs/make_studies.py {title}")


def page(name: str, store: Store, wanted: str | None = None) -> str:
    """Return the page of a study, on request of one scale."""
    sweep, data = find(name, store, wanted)
    records = [record for record in map(store.get, data["members"]) if record is not None]
    words = without_places(data["command"])
    return PAGE.format(
        name=name,
        scale=scale_of(words),
        about=about(name),
        command=shlex.join(["python", "train.py", *words]),
        tables=markdown_blocks(store, Scope(sweep)),
        facts="\n".join(f"- {fact}" for fact in facts(records)),
        sweep=sweep,
    )


def scale_of(words: list[str]) -> str:
    """Return the scale that a command asks for."""
    return next((word.split("=")[1] for word in words if word.startswith("scale=")), "full")


def find(name: str, store: Store, scale: str | None) -> tuple[str, dict[str, Any]]:
    """Return the last sweep that carried out an experiment."""
    for sweep in reversed(store.sweeps()):
        data = store.get_sweep(sweep) or {}
        words = data.get("command", [])
        if f"experiment={name}" in words and scale in (None, scale_of(words)):
            return sweep, data
    sys.exit(f"{store.root} holds no sweep of experiment={name}: run it first")


def about(name: str) -> str:
    """Return what the experiment's file says of itself."""
    lines = (ROOT / "conf" / "experiment" / f"{name}.yaml").read_text("utf-8").splitlines()[1:]
    comment = []
    for line in lines:
        if not line.startswith("#"):
            break
        comment.append(line.removeprefix("#").strip())
    return " ".join(comment)


def facts(records: list[RunRecord]) -> Iterator[str]:
    """Yield machine, versions, sizes and seeds."""
    made = [record.provenance for record in records if record.provenance]
    yield f"Device: {_all(p['device'] for p in made)}; threads: {_all(p['threads'] for p in made)}."
    yield from dict.fromkeys(_sizes(record) for record in records if record.data)
    yield f"Seeds: {_all(record.config['seed'] for record in records)}; of the splits: " + _all(
        record.config["seeds"]["split"] for record in records
    )
    yield f"Precision: {_all(record.config['train']['precision'] for record in records)}."
    versions = made[0]["versions"] if made else {}
    yield "Versions: " + ", ".join(f"{name} {number}" for name, number in versions.items())
    minutes = sum(record.cost.get("minutes", 0) for record in records)
    finished = max(record.finished for record in records)[:10]
    yield f"Finished: {finished}; {minutes:.0f} minutes of runs in all, one after another."


def _sizes(record: RunRecord) -> str:
    rows = record.data["rows"]
    counts = f"{rows['train']:,} rows to learn, {rows['select']:,} to choose on, {rows['test']:,} to report"
    return f"{record.config['dataset']['name']}: {counts}."


def _all(values: Any) -> str:
    return ", ".join(dict.fromkeys(str(value) for value in values))


if __name__ == "__main__":
    main()
