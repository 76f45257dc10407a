"""Write docs/results/trec.md: do LoRA and QLoRA beat a linear probe on TREC, by a paired test?

    python docs/make_trec.py [--take multirun | --check]

`--take` runs the two sweeps below, or takes their finished runs from the store, and keeps their records under
docs/results/trec, from which the page is made. The questions are not part of this project: TUNESWEEP_DATA
names the folder that has them under trec/.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pyarrow.parquet as pq
from kept import RESULTS, take

from tunesweep.record import RunRecord
from tunesweep.stats.multiple import holm
from tunesweep.stats.pairs import Paired, mcnemar
from tunesweep.stats.proportion import wilson
from tunesweep.store import Store

ROOT = Path(__file__).parents[1]
PAGE, KEPT = RESULTS / "trec.md", RESULTS / "trec"
DATA = Path(os.environ.get("TUNESWEEP_DATA", ROOT.parent / "shared" / "data"))
FILES = {"train": "trec/train_5500.label", "test": "trec/TREC_10.label"}
ADAPTERS, READOUTS = ("lora", "qlora"), ("head", "linear")
LIMIT = 0.01  # the largest corrected p that counts as a difference

# The fine label, as in `DESC:manner How did ...`, is skipped: it would give the coarse one away.
OPTIONS = r"""  dataset=files dataset.name=trec dataset.format=lines dataset.charset=latin-1 \
  'dataset.pattern="(?P<label>[A-Z]+):\S+ (?P<text>.*)"' \
"""
SWEEPS = {
    "adapters": f"-m method=lora,qlora readout=head,linear \\\n{OPTIONS}",
    "probes": f"-m method=head_only readout=head,linear train.lr=1e-3,1e-2,3e-2,1e-1 \\\n{OPTIONS}",
}

Key = tuple[str, str]  # method, readout

TEXT = """# TREC: do adapters beat a linear probe?

Question classification: {classes} classes, {train:,} questions to learn, {select:,} to choose on,
{test:,} (the published test file) to report. {overlap} of these also occur among the ones learned from, as
published. Always naming the commonest class of the test file would score {commonest:.3f}.
Model: {model}, seed {seed}, {epochs} epochs for every row.

```bash
{commands}
```

The adapters keep their default rate. The probe is given an advantage: its rate is the best of four on the
select split, for each readout. `readout=head` is the architecture's own head, which for this model reads
the first token through a layer that its training for sentence similarity did not use; `readout=linear`
reads the mean over all tokens, which that training did use.

{scores}

Paired by question, within a readout: exact McNemar test, corrected for the number of comparisons (Holm).

{tests}

*Only adapter* counts the questions that the adapter answers rightly and the probe wrongly, *only probe*
the reverse. The test asks whether these trained models differ on questions like these; whether the
methods do would take several seeds.

Device: {device}; threads: {threads}; versions: {versions}; split seed {split}. Made on {date} by
`python docs/make_trec.py`.
"""


def main() -> None:
    """Write the page; exit 1 when an adapter does not beat the probe, or the page is not up to date."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--take", type=Path, help="a store: run what it lacks, and keep the records")
    parser.add_argument("--check", action="store_true", help="write nothing, fail if it is out of date")
    given = parser.parse_args()
    if given.take:
        for name, sweep in SWEEPS.items():
            take(Store(given.take), run(sweep, given.take), KEPT / name)
    text, worst = made()
    if given.check:
        sys.exit(
            f"{PAGE} is not what its records say: run docs/make_trec.py" if text != PAGE.read_text() else 0
        )
    PAGE.write_text(text, encoding="utf-8")
    print(f"written: {PAGE}")
    if worst >= LIMIT:
        sys.exit(f"an adapter does not beat the probe at p < {LIMIT}: see {PAGE}")


def run(sweep: str, store: Path) -> str:
    """Carry out a sweep, and return its id."""
    for name in FILES.values():
        if not (DATA / name).is_file():
            sys.exit(f"{DATA / name} does not exist: TUNESWEEP_DATA must name the folder that holds {name}")
    files = [f"dataset.{split}={DATA / name}" for split, name in FILES.items()]
    words = [*shlex.split(sweep.replace("\\\n", " ")), *files, f"runtime.store={store.absolute()}"]
    subprocess.run([sys.executable, "train.py", *words], check=True, cwd=ROOT)
    return Store(store).last_sweep() or ""


def made() -> tuple[str, float]:
    """Return the page by what is kept, and the greatest p of its tests."""
    stores = [Store(KEPT / name) for name in SWEEPS]
    records = {record.run_id: (record, store) for store in stores for record in store.records()}
    chosen = best([record for record, _ in records.values()])
    right = {key: correct(record, records[record.run_id][1].root) for key, record in chosen.items()}
    compared = compare(right)
    return page(chosen, compared), max(p for _, p in compared.values())


def best(records: list[RunRecord]) -> dict[Key, RunRecord]:
    """Return a run per method and readout: the one that was best on the select split."""
    found: dict[Key, RunRecord] = {}
    for record in sorted(records, key=lambda record: record.metrics["select"]["accuracy"]):
        found[record.config["method"]["name"], record.config["readout"]["name"]] = record
    return {key: found[key] for key in product(("head_only", *ADAPTERS), READOUTS)}


def correct(record: RunRecord, store: Path) -> list[bool]:
    """Return whether each prediction is right, in the order of the examples' ids."""
    columns = pq.read_table(store / record.artefacts["predictions"]).to_pydict()
    rows = sorted(zip(columns["id"], columns["label"], columns["prediction"], strict=True))
    return [label == prediction for _, label, prediction in rows]


def compare(right: dict[Key, list[bool]]) -> dict[Key, tuple[Paired, float]]:
    """Return the paired test of each adapter against the probe of its readout, with its corrected p."""
    keys = list(product(ADAPTERS, READOUTS))
    pairs = [mcnemar(right[adapter, readout], right["head_only", readout]) for adapter, readout in keys]
    return dict(zip(keys, zip(pairs, holm([pair.p for pair in pairs]), strict=True), strict=True))


def page(records: dict[Key, RunRecord], compared: dict[Key, tuple[Paired, float]]) -> str:
    """Return the page as Markdown."""
    first = records["lora", "head"]
    made, test = first.provenance, first.metrics["test"]
    files = " ".join(f"dataset.{split}={name}" for split, name in FILES.items())
    return TEXT.format(
        **first.data["rows"],
        classes=len(first.data["labels"]),
        commonest=max(map(sum, test["confusion"])) / test["n"],
        model=first.config["model"]["name"],
        seed=first.config["seed"],
        epochs=first.config["train"]["epochs"],
        split=first.config["seeds"]["split"],
        overlap=first.data["overlap_with_train"]["test"],
        commands="\n".join(f"python train.py {sweep}  {files}" for sweep in SWEEPS.values()),
        scores=scores(records),
        tests=tests(compared),
        device=made["device"],
        threads=made["threads"],
        versions=", ".join(f"{name} {number}" for name, number in made["versions"].items()),
        date=max(record.finished for record in records.values())[:10],
    )


def scores(records: dict[Key, RunRecord]) -> str:
    """Return accuracy and interval of each run as a Markdown table."""
    header = ["method", "readout", "lr", "trainable", "accuracy", "95 % (examples)"]
    return table(header, [[*key, *score_cells(record)] for key, record in records.items()])


def score_cells(record: RunRecord) -> list[str]:
    """Return the cells of one run."""
    test = record.metrics["test"]
    low, high = wilson(round(test["accuracy"] * test["n"]), test["n"])
    return [
        f"{record.config['train']['lr']:g}",
        f"{record.parameters['trainable']:,}",
        f"{test['accuracy']:.3f}",
        f"{low:.3f}–{high:.3f}",
    ]


def tests(compared: dict[Key, tuple[Paired, float]]) -> str:
    """Return the paired tests as a Markdown table."""
    rows = [
        [f"{adapter} − head_only", readout, f"{pair.difference:+.3f}", str(pair.b), str(pair.c), f"{p:.1e}"]
        for (adapter, readout), (pair, p) in compared.items()
    ]
    return table(["comparison", "readout", "difference", "only adapter", "only probe", "p (Holm)"], rows)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose first two columns are text and whose others are numbers."""
    marks = ["---", "---", *["---:"] * (len(header) - 2)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, marks, *rows))


if __name__ == "__main__":
    main()
