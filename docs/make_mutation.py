"""Write docs/mutation.md: what fast tests do not notice when statistics, identity or encodings are broken.

    python docs/make_mutation.py --take      # what mutmut has left in mutants/
    python docs/make_mutation.py [--check]   # from docs/results/mutation

Each change that no test noticed (`survivors.json`) is listed under the first reason of `reasons.toml` whose
pattern fits it, as `function: line before => line after`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results" / "mutation"
PAGE = ROOT / "docs" / "mutation.md"
MUTANTS = Path("mutants")  # where mutmut wants to be asked from the folder that holds it
LIMIT = 0.85  # of all changes must be noticed
NOTICED = {"killed", "timeout", "segfault"}  # in mutmut's words; one that never ends is noticed, too
UNKNOWN = {"not checked", "check was interrupted by user"}
OTHER = "Not noticed, and none of the above."
HEAD = """# Mutation

Statistics, identity and encodings are where a wrong sign would go into a table unseen. `make mutation`
([mutmut](https://mutmut.readthedocs.io)) breaks them in every way it knows, one change at a time, and runs
the fast tests that reach the place: {killed} of {all} changes were noticed, {share:.1%} (at least
{limit:.0%} must be).

| file | changes | noticed |
|---|---:|---:|
{files}

Those that no test noticed, each with a reason:
"""

Found = dict[str, Any]


def main() -> None:
    """Take results over if asked, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--take", action="store_true", help="take over what mutmut found")
    parser.add_argument("--check", action="store_true", help="write nothing, fail if it is out of date")
    given = parser.parse_args()
    if given.take:
        text = json.dumps(found(), indent=1, ensure_ascii=False)
        (RESULTS / "survivors.json").write_text(text + "\n", encoding="utf-8")
    result = json.loads((RESULTS / "survivors.json").read_text(encoding="utf-8"))
    if given.check:
        if page(result) != PAGE.read_text(encoding="utf-8"):
            sys.exit(f"{PAGE} is not what the results say: run docs/make_mutation.py")
    else:
        PAGE.write_text(page(result), encoding="utf-8")
        print(f"written: {PAGE}; noticed: {share(result):.1%}")
    sys.exit(share(result) < LIMIT)


def found() -> Found:
    """Return what became of each change, by file, and what those that survived are."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant
    from mutmut.stats import status_by_exit_code

    files: dict[str, dict[str, int]] = {}
    survivors: list[dict[str, str]] = []
    for path in sorted(MUTANTS.glob("src/**/*.meta")):
        codes = json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
        source = path.relative_to(MUTANTS).with_suffix("")
        ends = {name: status_by_exit_code[code] for name, code in codes.items()}
        if UNKNOWN & set(ends.values()):
            sys.exit(f"{path} has changes that were not tried: make mutation once more")
        if ends:
            name = str(path.relative_to(MUTANTS / "src" / "tunesweep")).removesuffix(".meta")
            files[name] = dict(sorted(Counter(ends.values()).items()))
        for mutant in sorted(key for key, end in ends.items() if end not in NOTICED):
            lines = get_diff_for_mutant(mutant, path=source).splitlines()[2:]
            before, after = (" ".join(_marked(lines, mark)) for mark in "-+")
            survivors.append({"name": _function(mutant), "before": before, "after": after})
    return {"files": files, "survivors": survivors}


def _marked(lines: list[str], mark: str) -> Iterator[str]:
    return (line[1:].strip() for line in lines if line.startswith(mark))


def _function(mutant: str) -> str:
    """Return `stats.cells.Estimate.p` for `tunesweep.stats.cells.xǁEstimateǁp__mutmut_1`."""
    module, _, name = mutant.rpartition("__mutmut_")[0].rpartition(".")
    short = name.removeprefix("xǁ").replace("ǁ", ".") if "ǁ" in name else name.removeprefix("x_")
    return f"{module.removeprefix('tunesweep.')}.{short}"


def share(result: Found) -> float:
    """Return how many of all changes were noticed."""
    files = result["files"].values()
    return sum(map(noticed, files)) / sum(sum(ends.values()) for ends in files)


def page(result: Found) -> str:
    """Return the page as Markdown."""
    rows = [(name, sum(ends.values()), noticed(ends)) for name, ends in result["files"].items()]
    files = "\n".join(f"| `{name}` | {total} | {seen} |" for name, total, seen in rows)
    killed, total = sum(row[2] for row in rows), sum(row[1] for row in rows)
    head = HEAD.format(killed=f"{killed:,}", all=f"{total:,}", share=killed / total, limit=LIMIT, files=files)
    return head + "".join(_listed(reason, lines) for reason, lines in by_reason(result).items())


def noticed(ends: dict[str, int]) -> int:
    """Return how many changes of a file were noticed."""
    return sum(count for end, count in ends.items() if end in NOTICED)


def by_reason(result: Found) -> dict[str, list[str]]:
    """Return the survivors as lines under their reasons."""
    reasons = tomllib.loads((RESULTS / "reasons.toml").read_text(encoding="utf-8"))["reason"]
    lines: dict[str, list[str]] = {reason["because"]: [] for reason in reasons} | {OTHER: []}
    for survivor in result["survivors"]:
        line = f"{survivor['name']}: {survivor['before']} => {survivor['after']}"
        fits = (reason["because"] for reason in reasons if re.search(reason["pattern"], line))
        lines[next(fits, OTHER)].append(line)
    return {reason: each for reason, each in lines.items() if each}


def _listed(reason: str, lines: list[str]) -> str:
    whole = "\n".join(lines)
    return f"\n**{reason}** ({len(lines)})\n\n```text\n{whole}\n```\n"


if __name__ == "__main__":
    main()
