from __future__ import annotations

import csv
import io
import re

import pytest
from rich.console import Console

from tunesweep.errors import BadConfig, StorageError
from tunesweep.report import render
from tunesweep.report.markdown import markdown_table
from tunesweep.report.rows import Scope

ENDS = ("md", "csv", "tex", "html")


def printed(store, width=100, scope=None):
    console = Console(file=io.StringIO(), width=width)
    paths = render.report(store, scope or Scope(), console)
    return console.file.getvalue(), paths


@pytest.fixture
def six(store, fill, record):
    return fill(store, [record(f"{m}{r}", m, r, 750 + r) for m in ("lora", "qlora") for r in (4, 8, 16)])


@pytest.mark.parametrize("width", [200, 100, 80, 50])
def test_the_terminal_shows_every_number_whole(six, width):
    text, _ = printed(six, width)
    table = text.split("Written:")[0]
    assert max(map(len, table.splitlines())) <= width
    assert len(re.findall(r"0\.75[48]|0\.766", table)) == 6
    for whole in ("147,456", "0.726–0.780", "412 MB", "0.001", "in process", "minilm", "succeeded"):
        assert whole in table
    assert "…" not in table


def test_a_wide_terminal_has_all_columns(six):
    head = [line.split() for line in printed(six, 200)[0].splitlines() if "method" in line]
    expected = (
        "model method r alpha lr adapter head % epoch accuracy examples before memory on disk executor status"
    )
    assert head == [expected.split()]


@pytest.mark.parametrize("width", [80, 60, 45])
def test_a_table_that_is_too_wide_has_every_column_in_one_of_its_parts(six, width):
    block = render.build(six, Scope()).blocks[0]
    lifted, parts = render.layout(block, width)
    shown = [column.key for part in parts for column in part]
    assert len(parts) > 1
    assert len(shown) == len(set(shown))
    named = {
        column.key for column in block.columns if any(said.startswith(f"{column.header} ") for said in lifted)
    }
    assert set(shown) | named == {column.key for column in block.columns}
    text = printed(six, width)[0].split("Written:")[0]
    assert max(map(len, text.splitlines())) <= width
    for number in range(1, 7):  # each row is numbered alike in every part
        assert len(re.findall(rf"^ *{number} ", text, re.MULTILINE)) == len(parts)


def test_a_failure_to_learn_stays_in_every_form(store, fill, record):
    other = record("b", r=4)
    other.metrics |= {"before": {"accuracy": 0.781}, "learned": False}
    fill(store, [record("a"), other])
    text, paths = printed(store, 200)
    assert "succeeded, not learned" in text
    assert all("not learned" in path.read_text() for path in paths)
    assert list(csv.DictReader(io.StringIO(paths[1].read_text())))[1]["learned"] == "False"


def test_the_sweep_says_which_columns_its_table_has(store, fill, record):
    fill(store, [record("a")], report={"columns": ["method", "score", "macro_f1"], "per_class": False})
    text, paths = printed(store)
    head = next(line for line in paths[0].read_text().splitlines() if line.startswith("|"))
    assert head.replace(" ", "") == "|method|accuracy|macroF1|status|"
    assert "memory" not in text.split("*")[0]


def test_an_unknown_column_of_a_sweep_is_one_sentence(store, fill, record):
    fill(store, [record("a")], report={"columns": ["methot"]})
    with pytest.raises(BadConfig, match=r"report\.columns=methot is not an option: .* did you mean 'method'"):
        render.report(store, Scope(), Console(file=io.StringIO()))


def test_cells_of_a_markdown_table_are_left_as_they_are():
    lines = markdown_table(("a", "n"), [("x|y", "1.10"), ("<b>", "20")], text=1).splitlines()
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    assert [cells[0], *cells[2:]] == [["a", "n"], ["x\\|y", "1.10"], ["&lt;b&gt;", "20"]]
    left, right = cells[1]
    assert (left[0], right[-1]) == (":", ":")  # text to the left, numbers to the right


def test_failures_and_brackets_are_printed_as_they_are(store, fill, record, failed):
    fill(store, [record("a"), failed(record("b"), "see [bold]x[/bold] :smile:")])
    assert "failed: lora r=8: diverged: see [bold]x[/bold] :smile:" in printed(store)[0]


def test_three_files_are_written_for_the_sweep(six):
    _, paths = printed(six)
    assert [path.name for path in paths] == ["s1.md", "s1.csv", "s1.tex", "s1.html"]
    assert sorted(path.name for path in paths[0].parent.iterdir()) == ["s1.csv", "s1.html", "s1.md", "s1.tex"]


def test_a_narrowed_report_leaves_the_whole_one_alone(six):
    whole = printed(six)[1][0].read_text()
    text, paths = printed(six, scope=Scope(where=("method=lora", "r=4,8")))
    assert [path.name for path in paths] == [f"s1-method-lora-r-4-8.{end}" for end in ENDS]
    assert "qlora" not in text
    assert (paths[0].parent / "s1.md").read_text() == whole


def test_reports_of_other_conditions_have_other_names(store, fill, record):
    long = "long" * 30
    labels = ["猫", "犬", "a b", "a+b", "a-b", "a", "b", "encoding", "text", f"{long}1", f"{long}2"]
    fill(store, [record(f"r{place}", encoding__name=label) for place, label in enumerate(labels)])
    plain = [("encoding=a",), ("encoding=a,b",), ("encoding=a", "encoding=a,text"), ("r=8", "encoding=b")]
    same = [("encoding=a,encoding,a,text",), ("encoding=a", "encoding=a", "encoding=a,text")]
    others = [(f"encoding={label}",) for label in labels if label not in ("a", "b")] + same
    names = {
        where: printed(store, scope=Scope(where=where))[1][0].stem.removeprefix("s1-")
        for where in (*plain, *others)
    }
    assert [names[where] for where in plain] == [
        *("encoding-a", "encoding-a-b", "encoding-a-encoding-a-text", "r-8-encoding-b"),
    ]
    assert len(set(names.values())) == len(names)
    assert all(re.fullmatch("[0-9A-Za-z_-]{1,90}", name) for name in names.values())
    assert printed(store, scope=Scope(where=others[0]))[1][0].stem == f"s1-{names[others[0]]}"


def test_a_string_stands_for_a_sweep(six):
    assert render.report(six, "s1", Console(file=io.StringIO()))[0].name == "s1.md"


def test_csv_has_every_number_unrounded(store, fill, record, failed):
    fill(store, [record("a"), record("f", "full", None), failed(record("b"))])
    rows = list(csv.DictReader(io.StringIO(printed(store)[1][1].read_text())))
    assert (rows[0]["minutes_per_epoch"], rows[0]["memory_bytes"], rows[0]["r"]) == (
        "0.2671234",
        "412345678",
        "8",
    )
    assert rows[0]["lora.target_modules"] == '["q", "v"]'
    assert (rows[1]["r"], rows[1]["adapter"]) == ("", "0")
    assert (rows[2]["score"], rows[2]["status"], rows[2]["failure"]) == ("", "failed", "the loss is nan")
    assert not any(row[key] in ("nan", "None", "–") for row in rows for key in row)


def test_csv_cells_are_not_formulas(store, fill, record, failed):
    fill(store, [failed(record("b"), "=HYPERLINK(1)")])
    (row,) = csv.DictReader(io.StringIO(printed(store)[1][1].read_text()))
    assert row["failure"] == "'=HYPERLINK(1)"


def test_markdown_keeps_the_digits_of_a_number(store, fill, record):
    fill(store, [record("a", right=750)])
    assert "| 0.750 |" in re.sub(r" +", " ", printed(store)[1][0].read_text())


def test_markdown_survives_pipes_and_tags(store, fill, record):
    fill(store, [record("a"), record("b", encoding__name="a|b<script>")])
    lines = printed(store)[1][0].read_text().splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1
    assert "a\\|b&lt;script&gt;" in table[-1]
    assert re.split(r" *\| *", table[2])[2:6] == ["lora", "8", "16", "0.001"]


def test_latex_is_booktabs_with_its_specials_escaped(store, fill, record, failed):
    fill(
        store,
        [record("a", "head_only", None), record("b", encoding__name="50%_&#"), failed(record("c"), "a\nb")],
    )
    lines = printed(store)[1][2].read_text().splitlines()
    body = [line for line in lines if not line.startswith("%")]
    assert [line for line in body if line.startswith("\\") and "rule" in line] == [
        "\\toprule",
        "\\midrule",
        "\\bottomrule",
    ]
    assert any("head\\_only" in line for line in body)
    assert any("50\\%\\_\\&\\#" in line for line in body)
    assert "% failed: lora r=8: diverged: a b" in lines
    assert not any(re.search(r"(?<!\\)[%_#]", line) for line in body)


def test_a_line_break_in_a_searched_value_breaks_no_form(store, fill, record):
    best, prompt = record("a"), "Review: {text}\nIt was:\n"
    best.metrics["select"] = {"accuracy": 0.8, "loss": 0.5}
    points = {"a": {"name": f"readout.prompt={prompt}", "config": best.config}}
    trials = [{"run_id": "a", "words": ["x"], "values": {}, "rung": 0, "member": 0}]
    words = [f"readout.prompt of {prompt}", "at random"]
    fill(store, [best], points=points, search={"total": 2, "words": words, "trials": trials})
    page, _, tex, _ = (path.read_text() for path in printed(store)[1])
    notes = [
        "Search: readout.prompt of Review: {text} It was: , at random. So far 1 of 2 trials, 1 with a score.",
        "best on select: readout.prompt=Review: {text} It was: (accuracy 0.8; on test, which nothing was "
        "chosen by, accuracy 0.783; run a)",
    ]
    for note in notes:
        assert f"- {note}" in page.splitlines()
        assert f"% {note}" in tex.splitlines()


def test_reports_that_cannot_be_written_are_one_sentence_after_the_table(six):
    (six.root / "reports").write_text("in the way")
    console = Console(file=io.StringIO(), width=100)
    with pytest.raises(StorageError, match=r"reports/s1.md cannot be written \(.*\): free some space"):
        render.report(six, Scope(), console)
    assert "0.766" in console.file.getvalue()


def test_a_broken_record_is_a_row_and_a_remark(six):
    six.path("records", "lora4").write_text('{"run_id": "lora4"')
    text, _ = printed(six)
    assert "not run" in text
    assert "is not a readable record" in " ".join(text.split())
