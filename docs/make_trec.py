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
from tunesweep.stats.multiple import holm
from tunesweep.stats.pairs import Paired, mcnemar
from tunesweep.stats.proportion import wilson
from tunesweep.store import Store

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("TUNESWEEP_DATA", ROOT.parent / "shared" / "data"))
FILES = {"train": "trec/train_5500.label", "test": "trec/TREC_10.label"}
ADAPTERS, READOUTS = ("lora", "qlora"), ("head", "linear")
LIMIT = 0.01  # the largest corrected p that counts as a difference

# The fine label, as in `DESC:manner How did ...`, is skipped: it would give the coarse one away.
OPTIONS = r"""  dataset=files dataset.name=trec dataset.format=lines dataset.charset=latin-1 \
  'dataset.pattern="(?P<label>[A-Z]+):\S+ (?P<text>.*)"' \
"""
SWEEPS = (
    f"-m method=lora,qlora readout=head,linear \\\n{OPTIONS}",
    f"-m method=head_only readout=head,linear train.lr=1e-3,1e-2,3e-2,1e-1 \\\n{OPTIONS}",
)

Key = tuple[str, str]  # method, readout

PAGE = """# TREC: do adapters beat a linear probe?

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
    """Run what is missing, then write the page; exit 1 when an adapter does not beat the probe."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--store", type=Path, default=Path("multirun"))
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "trec.md")
    given = parser.parse_args()
    records = best([record for sweep in SWEEPS for record in run(sweep, given.store)])
    compared = compare({key: correct(record, given.store) for key, record in records.items()})
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(page(records, compared), encoding="utf-8")
    print(f"written: {given.out}")
    if any(p >= LIMIT for _, p in compared.values()):
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
    return PAGE.format(
        **first.data["rows"],
        classes=len(first.data["labels"]),
        commonest=max(map(sum, test["confusion"])) / test["n"],
        model=first.config["model"]["name"],
        seed=first.config["seed"],
        epochs=first.config["train"]["epochs"],
        split=first.config["seeds"]["split"],
        overlap=first.data["overlap_with_train"]["test"],
        commands="\n".join(f"python train.py {sweep}  {files}" for sweep in SWEEPS),
        scores=scores(records),
        tests=tests(compared),
        device=made["device"],
        threads=made["threads"],
        versions=", ".join(f"{name} {number}" for name, number in made["versions"].items()),
        date=max(record.finished for record in records.values())[:10],
    )


def scores(records: dict[Key, RunRecord]) -> str:
    """Return accuracy, interval and cost of each run as a Markdown table."""
    header = ["method", "readout", "lr", "trainable", "accuracy", "95 % (examples)", "min/epoch"]
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
        f"{record.cost['minutes_per_epoch']:.2f}",
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
