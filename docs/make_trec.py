"""Write docs/results/trec.md: do LoRA and QLoRA beat a linear probe on TREC, by a paired test?

    python docs/make_trec.py --store multirun

Runs the two sweeps below, or takes their finished runs from the store. The questions are not part of
this project: TUNESWEEP_DATA names the folder that has them under trec/.
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

from tunesweep.record import RunRecord
from tunesweep.stats import Paired, holm, mcnemar, wilson
from tunesweep.store import Store

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("TUNESWEEP_DATA", ROOT.parent / "shared" / "data"))
FILES = {"train": "trec/train_5500.label", "test": "trec/TREC_10.label"}
LIMIT = 0.01  # the largest corrected p that counts as a difference

# The fine label, as in `DESC:manner How did ...`, is skipped: it would give the coarse one away.
OPTIONS = r"""  dataset=files dataset.name=trec dataset.format=lines dataset.charset=latin-1 \
  'dataset.pattern="(?P<label>[A-Z]+):\S+ (?P<text>.*)"' \
"""
MAIN = f"-m method=head_only,lora,qlora \\\n{OPTIONS}"
# A probe that is given every advantage: mean pooling, which the model was trained with, and time.
LONG = f"-m method=head_only readout=linear train.epochs=20 train.lr=1e-2 \\\n{OPTIONS}"
PROBE, LONG_PROBE, ADAPTERS = "head_only", "head_only, long", ("lora", "qlora")

PAGE = """# TREC: do adapters beat a linear probe?

Question classification: {classes} classes, {train:,} questions to learn, {select:,} to choose the epoch,
{test:,} (the published test file) to report; {overlap} of these also occur among those learned from, as
published. Model: {model}, seed {seed}.

In the first command every method has its own default rate and budget. Two epochs are short for a probe,
so the second gives it twenty, a larger rate, and the mean of all hidden states instead of the first.

```bash
python train.py {main}  dataset.train={train_file} dataset.test={test_file}
python train.py {long}  dataset.train={train_file} dataset.test={test_file}
```

{scores}

Paired by question: exact McNemar test, corrected for the number of comparisons (Holm).

{tests}

*Only adapter* counts the questions that the adapter answers rightly and the probe wrongly, *only probe*
the reverse. The test asks whether these trained models differ on questions like these; whether the
methods do would take several seeds.

Device: {device}; threads: {threads}; versions: {versions}; split seed {split}. Made on {date} by
`python docs/make_trec.py`.
"""


def main() -> None:
    """Run what is missing, then write the page; exit 1 when an adapter does not beat the probe."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--store", type=Path, default=Path("multirun"))
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "trec.md")
    given = parser.parse_args()
    records = {record.config["method"]["name"]: record for record in run(MAIN, given.store)}
    records[LONG_PROBE] = run(LONG, given.store)[0]
    compared = compare({name: correct(record, given.store) for name, record in records.items()})
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(page(records, compared), encoding="utf-8")
    print(f"written: {given.out}")
    if any(compared[adapter, PROBE][1] >= LIMIT for adapter in ADAPTERS):
        sys.exit(f"an adapter does not beat the probe at p < {LIMIT}: see {given.out}")


def run(sweep: str, store: Path) -> list[RunRecord]:
    """Carry out a sweep, and return its records."""
    for name in FILES.values():
        if not (DATA / name).is_file():
            sys.exit(f"{DATA / name} does not exist: TUNESWEEP_DATA must name the folder that holds {name}")
    files = [f"dataset.{split}={DATA / name}" for split, name in FILES.items()]
    words = [*shlex.split(sweep.replace("\\\n", " ")), *files, f"runtime.store={store.absolute()}"]
    subprocess.run([sys.executable, "train.py", *words], check=True, cwd=ROOT)
    runs = Store(store)
    members = (runs.get_sweep(runs.last_sweep() or "") or {"members": []})["members"]
    return [record for record in map(runs.get, members) if record is not None]


def correct(record: RunRecord, store: Path) -> list[bool]:
    """Return whether each prediction is right, in the order of the examples' ids."""
    columns = pq.read_table(store / record.artefacts["predictions"]).to_pydict()
    rows = sorted(zip(columns["id"], columns["label"], columns["prediction"], strict=True))
    return [label == prediction for _, label, prediction in rows]


def compare(right: dict[str, list[bool]]) -> dict[tuple[str, str], tuple[Paired, float]]:
    """Return the paired test of each adapter against each probe, with its corrected p."""
    pairs = list(product(ADAPTERS, (PROBE, LONG_PROBE)))
    found = [mcnemar(right[adapter], right[probe]) for adapter, probe in pairs]
    return dict(zip(pairs, zip(found, holm([pair.p for pair in found]), strict=True), strict=True))


def page(records: dict[str, RunRecord], compared: dict[tuple[str, str], tuple[Paired, float]]) -> str:
    """Return the page as Markdown."""
    first = records[PROBE]
    made = first.provenance
    return PAGE.format(
        **first.data["rows"],
        classes=len(first.data["labels"]),
        model=first.config["model"]["name"],
        seed=first.config["seed"],
        split=first.config["seeds"]["split"],
        overlap=first.data["overlap_with_train"]["test"],
        main=MAIN,
        long=LONG,
        train_file=FILES["train"],
        test_file=FILES["test"],
        scores=scores(records),
        tests=tests(compared),
        device=made["device"],
        threads=made["threads"],
        versions=", ".join(f"{name} {number}" for name, number in made["versions"].items()),
        date=max(record.finished for record in records.values())[:10],
    )


def scores(records: dict[str, RunRecord]) -> str:
    """Return accuracy, interval and cost of each run as a Markdown table."""
    header = ["run", "lr", "epochs", "trainable", "accuracy", "95 % (examples)", "min/epoch"]
    return table(header, [score_row(name, record) for name, record in records.items()])


def score_row(name: str, record: RunRecord) -> list[str]:
    """Return the cells of one run."""
    test, train = record.metrics["test"], record.config["train"]
    low, high = wilson(round(test["accuracy"] * test["n"]), test["n"])
    return [
        name,
        f"{train['lr']:g}",
        str(train["epochs"]),
        f"{record.parameters['trainable']:,}",
        f"{test['accuracy']:.3f}",
        f"{low:.3f}–{high:.3f}",
        f"{record.cost['minutes_per_epoch']:.2f}",
    ]


def tests(compared: dict[tuple[str, str], tuple[Paired, float]]) -> str:
    """Return the paired tests as a Markdown table."""
    rows = [
        [f"{adapter} − ({probe})", f"{pair.difference:+.3f}", str(pair.b), str(pair.c), f"{p:.1e}"]
        for (adapter, probe), (pair, p) in compared.items()
    ]
    return table(["comparison", "difference", "only adapter", "only probe", "p (Holm)"], rows)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose first column is text and whose others are numbers."""
    marks = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, marks, *rows))


if __name__ == "__main__":
    main()
