"""The pages of the studies: made of records and nothing else."""

from __future__ import annotations

import importlib
import io
import re
import shlex
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from rich.console import Console
from sklearn.metrics import classification_report

from tunesweep import predictions
from tunesweep.report import render
from tunesweep.report.rows import Scope
from tunesweep.report.studies import per_class

ROOT = Path(__file__).parents[2]
NAMES = ["entailment", "neutral", "contradiction"]
TRUE = [0] * 10 + [1] * 20 + [2] * 30
SAID = [0] * 7 + [1] * 3 + [1] * 15 + [2] * 5 + [2] * 30


@pytest.fixture
def make_studies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    module = importlib.import_module("make_studies")
    monkeypatch.setattr(module, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(module, "PAGES", tmp_path)
    return module


def scores(said: list[int]) -> dict[str, Any]:
    report = classification_report(TRUE, said, target_names=NAMES, output_dict=True, zero_division=0)
    return {"per_class": {name: report[name] for name in NAMES}}


def cells(text: str) -> list[list[str]]:
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


@pytest.fixture
def classified(record: Any) -> Any:
    """Return a run with scores of each class, before training too."""

    def make(run_id: str, before: bool = True) -> Any:
        found = record(run_id, train__precision="fp32")
        found.metrics["test"] |= scores(SAID)
        found.data["labels"] = NAMES
        found.metrics |= {"before": scores([1] * 60)} if before else {}
        return found

    return make


def test_each_class_of_each_row_is_a_line(classified: Any) -> None:
    sweep = {"points": {"a": {"labels": ["lora"]}}}
    table = cells(per_class([classified("a"), classified("b", before=False)], sweep))
    assert table[0] == [
        *("row", "class", "examples", "precision", "recall", "F1", "errors", "errors before training"),
    ]
    # Of ten entailments three were missed, of twenty neutrals five, and those five were taken for the third.
    assert table[2:5] == [
        ["lora", "entailment", "10", "1.000", "0.700", "0.824", "3", "10"],
        ["lora", "neutral", "20", "0.833", "0.750", "0.789", "5", "0"],
        ["lora", "contradiction", "30", "0.857", "1.000", "0.923", "0", "30"],
    ]
    assert [row[0] for row in table[5:]] == ["lora r=8"] * 3  # without a label the run's own name
    assert [row[-1] for row in table[5:]] == ["–"] * 3


def test_a_line_break_in_a_name_breaks_no_line_of_the_table(classified: Any) -> None:
    made = classified("a")
    made.name = "readout.prompt={text}\nIt was:"
    assert [row[0] for row in cells(per_class([made], {}))[2:]] == ["readout.prompt={text} It was:"] * 3


def test_rows_without_classes_leave_a_sentence(written: Any) -> None:
    assert per_class([written("a", "wikitext2", "p")], {}) == "No row has classes."


COMMAND = [
    *("experiment=nli_methods", "scale=small", "runtime.threads=1", "dataset.path=/some/where"),
    "train.lr=1e-3,1e-4",
]


@pytest.fixture
def study(store: Any, fill: Any, classified: Any, failed: Any) -> Any:
    """Fill a store as a finished study leaves it, with an older and another sweep beside it."""
    runs = [classified("a"), classified("b"), failed(classified("c"))]
    for run, finished in zip(
        runs, ("2026-03-01T10:00:00", "2026-03-02T09:00:00", "2026-03-01T11:00:00"), strict=True
    ):
        run.finished = finished
        run.provenance = {"device": "a chip", "threads": 1, "versions": {"torch": "2.13.0", "peft": "0.21.2"}}
        if run.status == "succeeded":
            run.data["rows"] = {"train": 1500, "select": 90, "test": 1000}
    report = {"columns": ["label", "method", "score", "before"], "per_class": True}
    points = {"a": {"name": "x", "labels": ["lora"]}, "b": {"name": "y", "labels": ["qlora"]}}
    fill(store, [classified("old")], "s0", command=COMMAND, started="2026-01-01T00:00:00+00:00")
    fill(
        store, runs, "s1", command=COMMAND, report=report, points=points, started="2026-02-01T00:00:00+00:00"
    )
    fill(store, [classified("other")], "s2", command=["method=lora"], started="2026-03-01T00:00:00+00:00")
    return store


def test_a_page_has_command_tables_classes_and_facts(make_studies: Any, study: Any) -> None:
    page = make_studies.page("nli_methods", study)
    assert page.startswith("# Study: `nli_methods`, scale small\n\nStudy E: seven ways to do one task")
    (command,) = re.findall(r"```bash\n(.*)\n```", page)
    assert shlex.split(command) == [
        "python",
        "train.py",
        "experiment=nli_methods",
        "scale=small",
        COMMAND[-1],
    ]
    table = cells(page.split("## Per class")[0])
    assert table[0] == ["approach", "method", "accuracy", "before training", "status"]
    assert [row[0] for row in table[2:]] == ["lora", "qlora", "–"]
    assert table[4][-1] == "failed"
    assert cells(page.split("## Per class")[1])[2][:2] == ["lora", "entailment"]
    for fact in (
        "Device: a chip; threads: 1.",
        "reviews: 1,500 rows to learn, 90 to choose on, 1,000 to report.",
        "Seeds: 0; of the splits: 0",
        "Precision: fp32.",
        "Versions: peft 0.21.2, torch 2.13.0",
        "Finished: 2026-03-02; 1 minutes of runs in all, one after another.",
        "Made by `python docs/make_studies.py nli_methods` from the records of sweep `s1`.",
    ):
        assert fact in page


def test_the_markdown_report_has_the_classes_of_its_runs_where_they_are_wanted(study: Any) -> None:
    def written(**scope: Any) -> str:
        paths = render.report(study, Scope(**scope), Console(file=io.StringIO()))
        return paths[0].read_text()

    tables, classes = written(sweep="s1").split("\n\n## Per class\n\n")
    assert tables.startswith("# Sweep s1")
    assert [row[0] for row in cells(classes)[2:]] == ["lora"] * 3 + ["qlora"] * 3
    narrowed = written(sweep="s1", where=("label=qlora",)).partition("## Per class")[2]
    assert [row[0] for row in cells(narrowed)[2:]] == ["qlora"] * 3
    assert "Per class" not in written(sweep="s2")
    assert "Per class" not in written(all=True)


def test_a_study_that_has_not_run_is_a_sentence(make_studies: Any, study: Any) -> None:
    with pytest.raises(SystemExit, match="holds no sweep of experiment=lora_grid: run it first"):
        make_studies.page("lora_grid", study)


def call(make_studies: Any, monkeypatch: Any, *words: str) -> None:
    monkeypatch.setattr("sys.argv", ["make_studies.py", *words])
    make_studies.main()


def test_pages_are_made_of_what_is_kept(make_studies: Any, study: Any, monkeypatch: Any) -> None:
    call(make_studies, monkeypatch, "nli_methods", "--take", str(study.root))
    page = make_studies.PAGES / "nli_methods.md"
    assert page.read_text() == make_studies.page("nli_methods", study)
    call(make_studies, monkeypatch, "--check")
    page.write_text(page.read_text().replace("Seeds: 0", "Seeds: 1"))
    with pytest.raises(SystemExit, match=r"nli_methods.md is not what its records say"):
        call(make_studies, monkeypatch, "--check")
    call(make_studies, monkeypatch)
    call(make_studies, monkeypatch, "--check")


def test_nothing_of_the_data_is_kept_and_no_place(make_studies: Any, study: Any) -> None:
    record = study.get("a")
    record.config["dataset"]["path"] = "/some/where/texts"
    record.artefacts["predictions"] = "predictions/a.parquet"
    said = {"label": ["calm", "angry"], "prediction": ["calm", "calm"], "text": ["a secret", "another"]}
    predictions.write(study.root / "predictions" / "a.parquet", ["t-0", "t-1"], said)
    study.put(record)
    kept = make_studies.take(study, "s1", make_studies.KEPT / "nli_methods")
    files = [path.read_bytes() for path in kept.root.rglob("*.*")]
    assert not any(word in file for file in files for word in (b"/some", b"secret", b"calm", b"angry"))
    assert kept.get("a").config["dataset"]["path"] == "texts"
    found = pq.read_table(kept.root / "predictions" / "a.parquet").to_pylist()
    assert [row["label"] == row["prediction"] for row in found] == [True, False]


def test_every_study_says_what_it_is_about(make_studies: Any) -> None:
    for path in (ROOT / "conf" / "experiment").glob("*.yaml"):
        if "report" in yaml.safe_load(path.read_text()):
            assert re.match(r"(Study [A-E]: |How many ).+\.", make_studies.about(path.stem))
