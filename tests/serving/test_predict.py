"""New, unlabelled examples: what a run says of them, in columns of one's choice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tunesweep.data import readers
from tunesweep.serving import loading, submission

# Larger weights than usual: what is said depends on the text, which a small random model hardly reads.
LOUD = "+model.architecture.initializer_range=0.3"
BERT = ("model=random_bert", LOUD)
RUN = (*BERT, "method=lora", "train.lr=2e-3")


@pytest.fixture
def run(finished: Any) -> Any:
    return finished(*RUN)


@pytest.fixture
def test_texts(run: Any, shelf: Any) -> pd.DataFrame:
    """The test split as a file without labels, in another order than it was scored in."""
    config = loading.config_of(shelf, run)
    test = readers.load(config.dataset, config.seeds.split).test
    frame = pd.DataFrame({"key": test.ids, config.dataset.text: test.inputs, "other": range(len(test))})
    return frame.iloc[::-1].reset_index(drop=True)


@pytest.fixture
def new(test_texts: pd.DataFrame, tmp_path: Path) -> tuple[pd.DataFrame, Path]:
    return test_texts, tmp_path


def stored(run: Any, shelf: Any) -> pd.DataFrame:
    return pd.read_parquet(shelf.root / run.artefacts["predictions"]).set_index("id")


def write(frame: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_test_texts_get_the_predictions_of_the_record(run, shelf, tunesweep, new, ending):
    frame, folder = new
    file, out = write(frame, folder / f"new{ending}"), folder / f"out{ending}"
    result = tunesweep("predict", run.run_id, file, "--out", out, "--id", "key")
    assert result.exit_code == 0, result.stderr
    found = pd.read_csv(out) if ending == ".csv" else pd.read_parquet(out)
    assert list(found["id"]) == list(frame["key"])
    wanted = stored(run, shelf).loc[found["id"]]
    assert list(found["prediction"]) == list(wanted["prediction"])
    for name in ("p:fresh", "p:rotten"):  # batches are other ones: sums are taken in another order
        np.testing.assert_allclose(found[name], wanted[name], atol=1e-5)
    assert found["p:fresh"].std() > 1e-2


def test_columns_are_those_of_ones_choice_in_ones_order(run, tunesweep, test_texts, tmp_path):
    file, out = write(test_texts, tmp_path / "new.jsonl"), tmp_path / "out.jsonl"
    columns = 'p_fresh=p:fresh,"the, answer=prediction",id'
    result = tunesweep("predict", run.run_id, file, "--out", out, "--columns", columns)
    assert result.exit_code == 0, result.stderr
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [list(row) for row in rows] == [["p_fresh", "the, answer", "id"]] * len(test_texts)
    assert [row["id"] for row in rows] == list(range(len(test_texts)))
    assert result.stdout == f"{len(rows)} rows: {out}\n"


def test_without_a_file_it_prints_csv(run, tunesweep, test_texts, tmp_path):
    file = write(test_texts.head(3), tmp_path / "new.tsv")
    printed = tunesweep("predict", run.run_id, file, "--columns", "id,prediction").stdout.splitlines()
    assert printed[0] == "id,prediction"
    assert len(printed) == 4


def test_columns_of_the_file_may_stand_beside(run, tunesweep, test_texts, tmp_path):
    file = write(test_texts.head(3), tmp_path / "new.jsonl")
    out = tmp_path / "out.jsonl"
    columns = "what was read=file:text,key=file:key,prediction"
    result = tunesweep("predict", run.run_id, file, "--out", out, "--columns", columns)
    assert result.exit_code == 0, result.stderr
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["what was read"], row["key"]) for row in rows] == [
        (text, key) for text, key in zip(test_texts["text"][:3], test_texts["key"][:3], strict=True)
    ]


@pytest.mark.slow
def test_what_is_written_is_read_and_kept(finished, shelf, tunesweep, tmp_path):
    t5 = ("model=random_t5", "method=ia3", "readout=generate", "readout.max_new_tokens=4")
    run = finished(*t5, "+model.architecture.initializer_factor=2.0")
    config = loading.config_of(shelf, run)
    test = readers.load(config.dataset, config.seeds.split).test
    file, out = (
        write(pd.DataFrame({config.dataset.text: test.inputs}), tmp_path / "a.parquet"),
        tmp_path / "b.parquet",
    )
    result = tunesweep("predict", run.run_id, file, "--out", out, "--columns", "prediction,text")
    assert result.exit_code == 0, result.stderr
    wanted = stored(run, shelf).loc[test.ids]
    assert pd.read_parquet(out).to_dict("list") == wanted[["prediction", "text"]].to_dict("list")
    assert any(wanted["text"])


BAD = {
    "no column": ("a,b\n1,2\n", [], "dataset.text=text is not a column of"),
    "no such id": ("text\nfilm\n", ["--id", "key"], "--id=key is not a column of"),
    "no such source": ("text\nfilm\n", ["--columns", "a=b"], "'b' is nothing that this run says"),
    "no such format": ("text\nfilm\n", ["--out", "x.xlsx"], "has no format that is known"),
    "twice": ("text\nfilm\n", ["--columns", "a=id,a=prediction"], "names a twice"),
    "nothing": ("text\nfilm\n", ["--columns", "=id"], "must read NAME=SOURCE"),
    "empty": ("", [], "is empty"),
    "ragged": ("text,b\nfilm\n", [], "has 1 fields, expected 2"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_predicted_is_one_sentence(run, shelf, tunesweep, tmp_path, name):
    content, words, message = BAD[name]
    text = loading.config_of(shelf, run).dataset.text
    file = tmp_path / "new.csv"
    file.write_text(content.replace("text", text))
    result = tunesweep("predict", run.run_id, file, *words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert message.replace("=text", f"={text}") in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_run_that_is_not_there_is_one_sentence(run, tunesweep, tmp_path):
    result = tunesweep("predict", "abc", tmp_path / "new.csv")
    assert result.exit_code == 1
    assert "run abc has no readable record" in result.stderr
    assert run.run_id in result.stderr


def test_submission_files_quote_what_needs_it(tmp_path):
    frame = {"id": [1, 2], "text": ['a,"b"', "c\nd"]}
    submission.save(frame, tmp_path / "out.csv")
    again = pd.read_csv(tmp_path / "out.csv")
    assert again.to_dict("list") == frame
    submission.save(frame, tmp_path / "out.parquet")
    assert pd.read_parquet(tmp_path / "out.parquet").to_dict("list") == frame
