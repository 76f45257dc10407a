"""Columns that are not there are found in planning, by a file's first line, in the words of the run."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from tunesweep.data import headings
from tunesweep.data.readers import load
from tunesweep.errors import BadConfig, BadData
from tunesweep.sweep.plan import make_plan
from tunesweep.sweep.points import Planned

ROWS = "review,mark\n" + "".join(f"text {n},{'good' if n % 2 else 'bad'}\n" for n in range(20))
TYPO = ("dataset=files", "dataset.text=reveiw", "dataset.label=mark")


def config(make_config: Any, path: Path, text: str, *words: str) -> Any:
    path.write_text(text, encoding="utf-8")
    return make_config("method=lora", *TYPO, f"dataset.train={path}", *words)


def test_a_typo_is_told_as_the_run_would(make_config, tmp_path):
    found = config(make_config, tmp_path / "mine.csv", ROWS)
    (problem,) = headings.problems(found.dataset)
    assert problem.endswith("choose one of review, mark; did you mean 'review'?")
    planned = [Planned((), found), Planned((), config(make_config, tmp_path / "other.csv", ROWS))]
    with pytest.raises(BadConfig, match=r"nothing was started: dataset\.text=reveiw is not a column"):
        make_plan(planned, dry=True)
    with pytest.raises(BadData) as raised:
        load(found.dataset, 0)
    assert str(raised.value) == problem


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", ROWS, ("dataset.text=review",)),
        ("b.tsv", ROWS.replace(",", "\t"), ("dataset.text=review",)),
        ("c.csv", ROWS.replace(",", ";"), ("dataset.text=review", "dataset.delimiter=';'")),
        ("d.csv", '"a, ""b""",mark\n"x",y\n', ("dataset.text='a, \"b\"'",)),
        ("e.csv", "\ufeff" + ROWS, ("dataset.text=review",)),
        ("f.csv", '"two\nlines",mark\nx,y\n', ()),  # its first line is not the whole heading: left to the run
        ("g.csv", ROWS, ("dataset.header=false", "dataset.text='0'", "dataset.label='1'")),
        ("h.jsonl", '{"review": "x", "mark": "y"}\n', ()),
    ],
)
def test_what_is_there_or_cannot_be_told_is_no_problem(make_config, tmp_path, name, text, words):
    assert list(headings.problems(config(make_config, tmp_path / name, text, *words).dataset)) == []


def test_a_file_that_is_not_there_or_compressed_is_left_to_others(make_config, tmp_path):
    path = tmp_path / "mine.csv.gz"
    path.write_bytes(gzip.compress(ROWS.encode()))
    for place in (path, tmp_path / "none.csv"):
        found = make_config("method=lora", *TYPO, f"dataset.train={place}")
        assert list(headings.problems(found.dataset)) == []


def test_an_empty_first_line_is_left_to_the_reader(tmp_path):
    from tunesweep.config import DatasetConfig
    from tunesweep.data import headings

    path = tmp_path / "rows.csv"
    path.write_text("\ntext,label\na,b\n")
    assert list(headings.problems(DatasetConfig(name="files", train=str(path)))) == []


def test_a_column_of_which_every_value_is_another_is_no_class(make_config, tmp_path):
    found = config(make_config, tmp_path / "mine.csv", ROWS, "dataset.text=mark", "dataset.label=review")
    with pytest.raises(BadData, match=r"label=review has another value in each of 20 rows of train"):
        load(found.dataset, 0)


def test_an_empty_delimiter_is_refused(make_config, tmp_path):
    with pytest.raises(BadConfig, match=r"dataset\.delimiter is empty: give one character"):
        config(make_config, tmp_path / "mine.csv", ROWS, "dataset.delimiter=''")
