"""What the cells of a table become: answers, running text, comparisons, and texts that are none."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from made_files import config, write

from tunesweep.config import DatasetConfig
from tunesweep.data.examples import Examples
from tunesweep.data.readers import both_orders, load, read, swapped
from tunesweep.errors import BadConfig, BadData, TunesweepError


def as_jsonl(folder: Path, *rows: dict[str, Any]) -> Path:
    return write(folder, "rows.jsonl", "\n".join(json.dumps(row) for row in rows))


def rows_of(path: Path, **options: Any) -> Examples:
    return read("train", str(path), config(path, **options))


# ---- instructions ----

TOLD = {"task": "instruction", "text": "prompt"}


def test_any_file_of_prompts_and_answers(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'prompt,answer\n"Add 1, 2",3\nSay nothing,\n')
    found = rows_of(path, **TOLD)
    assert (found.inputs, found.labels) == (["Add 1, 2", "Say nothing"], ["3", ""])
    assert (found.task, found.ids) == ("instruction", ["train-0", "train-1"])


def test_the_second_text_of_an_instruction_may_be_missing(tmp_path: Path) -> None:
    path = as_jsonl(
        tmp_path,
        {"prompt": "add", "with": "1", "answer": "2"},
        {"prompt": "hi", "with": None, "answer": "ho"},
        {"prompt": "bye", "answer": "so"},
    )
    found = rows_of(path, **TOLD, text_pair="with")
    assert found.inputs == [("add", "1"), ("hi", ""), ("bye", "")]
    assert not found.converted  # nothing was there to convert


def test_an_instruction_without_an_answer_is_refused(tmp_path: Path) -> None:
    path = as_jsonl(tmp_path, {"prompt": "add", "answer": "2"}, {"prompt": "hi"})
    with pytest.raises(BadData, match=r"row 1 .*no value in column 'answer'"):
        rows_of(path, **TOLD)


def test_answers_are_no_classes(tmp_path: Path) -> None:
    told = [{"prompt": f"q{n}", "answer": f"a{n}"} for n in range(20)]
    test = write(tmp_path, "test.jsonl", json.dumps({"prompt": "new", "answer": "never seen"}))
    splits = load(config(as_jsonl(tmp_path, *told), test=str(test), **TOLD), 0)
    assert splits.labels == []
    assert (len(splits.train), splits.test.labels) == (18, ["never seen"])


# ---- running text ----

RUNNING = {"task": "language_modeling"}


@pytest.mark.parametrize("text", ["one\n\n two \nthree", "one\n", "\n\na\r\nb\x85c\u2028d\n\n"])
def test_lines_joined_are_the_file_again(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, "my.txt", text)
    found = rows_of(path, **RUNNING)
    assert "\n".join(map(str, found.inputs)).encode() == path.read_bytes()
    assert found.labels == [""] * len(found)


def test_pieces_of_a_running_text_are_the_file_again(tmp_path: Path) -> None:
    text = "\n".join(f"line {n}" for n in range(50)) + "\n"
    splits = load(config(write(tmp_path, "book", text), **RUNNING), 5)
    whole = [*splits.train.inputs, *splits.select.inputs, *splits.test.inputs]
    assert "\n".join(map(str, whole)) == text
    assert (splits.labels, splits.train.running) == ([], True)


def test_a_column_of_documents_loses_the_line_feed_that_joins_them(tmp_path: Path) -> None:
    path = as_jsonl(tmp_path, {"text": " = Title = \n"}, {"text": ""}, {"text": "two\nlines\n\n"})
    assert rows_of(path, **RUNNING).inputs == [" = Title = ", "", "two\nlines\n"]


# ---- comparisons ----

PAIRS = {"text": "prompt", "responses": ["a", "b"], "label": "winner", "swap": ["a", "b"]}


def comparisons(folder: Path, count: int = 24) -> Path:
    return as_jsonl(
        folder,
        *(
            {"prompt": f"p{n // 2}", "a": f"one {n}", "b": f"two {n}", "winner": ("a", "b", "tie")[n % 3]}
            for n in range(count)
        ),
    )


def test_a_comparison_is_a_prompt_and_two_responses(tmp_path: Path) -> None:
    found = rows_of(comparisons(tmp_path), **PAIRS)
    assert (found.inputs[1], found.labels[1]) == (("p0", "one 1", "two 1"), "b")


def test_swapped_comparisons_have_swapped_winners(tmp_path: Path) -> None:
    path = comparisons(tmp_path)
    found = rows_of(path, **PAIRS)
    other = swapped(found, config(path, **PAIRS))
    assert other.inputs[:3] == [("p0", "two 0", "one 0"), ("p0", "two 1", "one 1"), ("p1", "two 2", "one 2")]
    assert (found.labels[:3], other.labels[:3]) == (["a", "b", "tie"], ["b", "a", "tie"])
    assert other.ids == found.ids
    assert swapped(other, config(path, **PAIRS)) == found


def test_only_what_is_learnt_is_seen_in_both_orders(tmp_path: Path) -> None:
    path = comparisons(tmp_path)
    plain = load(config(path, group="prompt", **PAIRS), 0)
    both = load(config(path, group="prompt", augment_swaps=True, **PAIRS), 0)
    assert (both.select, both.test) == (plain.select, plain.test)
    assert both.train.take(range(len(plain.train))).inputs == plain.train.inputs
    assert len(both.train) == len(set(both.train.ids)) == 2 * len(plain.train)
    counted = Counter(both.train.labels)
    assert counted["a"] == counted["b"]  # no position is right more often than the other
    prompts = [set(part.groups or ()) for part in (both.train, both.select, both.test)]
    assert sum(map(len, prompts)) == len(set.union(*prompts)) == 12


def test_an_id_says_which_order_a_converted_row_is_in() -> None:
    rows = Examples(["train-3"], [("p", "True", "b")], ["a"], ["g"], converted=frozenset({"train-3"}))
    both = both_orders(rows, config("x", **PAIRS))
    assert both.ids == ["train-3", "train-3-swapped"]
    assert (both.groups, both.converted) == (["g", "g"], {"train-3", "train-3-swapped"})


def test_winners_in_a_column_each(tmp_path: Path) -> None:
    marks = [("1", "0", "0"), (0, 0, 1), (False, True, False), (1.0, 0.0, 0.0)]
    path = as_jsonl(
        tmp_path, *({"text": f"t{n}", **dict(zip("xyz", mark, strict=True))} for n, mark in enumerate(marks))
    )
    hot = {"one_hot": {"x": "first", "y": "second", "z": "tie"}}
    assert rows_of(path, **hot).labels == ["first", "tie", "second", "first"]
    two = as_jsonl(tmp_path, {"text": "t", "x": 1, "y": 1, "z": 0})
    with pytest.raises(BadData, match=r"row 0 .*marked in 2 of the columns x, y, z"):
        rows_of(two, **hot)


def test_conversations_are_read_turn_by_turn(tmp_path: Path) -> None:
    path = as_jsonl(
        tmp_path,
        {"text": '["Hi", "And then?"]', "label": "x"},
        {"text": '["So \\ud83d", null]', "label": "y"},  # half of a pair, as in the published file
    )
    found = rows_of(path, turns=True)
    assert found.inputs == ["Hi\n\nAnd then?", "So \ufffd\n\n"]
    assert found.converted == {"train-1"}
    with pytest.raises(
        BadData, match=r"row 0 .*column 'text', is no JSON list of turns.*dataset\.turns=false"
    ):
        rows_of(as_jsonl(tmp_path, {"text": "[Hi]", "label": "x"}), turns=True)


# ---- cells ----


def test_numbers_and_booleans_become_texts_and_are_counted(tmp_path: Path) -> None:
    values = ["a", True, 3, 2.5, "", "\ud83d"]
    path = as_jsonl(tmp_path, *({"text": value, "label": "xy"[n % 2]} for n, value in enumerate(values)))
    found = rows_of(path)
    assert found.inputs == ["a", "True", "3", "2.5", "", "\ufffd"]
    assert found.converted == {"train-1", "train-2", "train-3", "train-5"}
    assert all(str(text).encode() is not None for text in found.inputs)


def test_a_group_without_a_name_is_refused(tmp_path: Path) -> None:
    path = as_jsonl(tmp_path, {"text": "a", "label": "x", "g": 1}, {"text": "b", "label": "y", "g": None})
    with pytest.raises(BadData, match=r"row 1 .*no value in column 'g'"):
        rows_of(path, group="g")


# ---- several splits in one file ----


def sided(folder: Path, sides: str = "ttttttssvvv") -> Path:
    lines = [f"text {n},{'xy'[n % 2]},{side}" for n, side in enumerate(sides)]
    return write(folder, "sides.csv", "\n".join(["text,label,side", *lines]))


def test_a_column_may_say_which_split_a_row_belongs_to(tmp_path: Path) -> None:
    names = {"t": "train", "s": "", "v": "test"}
    splits = load(config(sided(tmp_path), split_column="side", split_names=names, select_fraction=0.4), 0)
    assert splits.test.ids == ["train-8", "train-9", "train-10"]
    assert sorted(splits.train.ids + splits.select.ids) == [f"train-{n}" for n in range(6)]
    assert len(splits.select) == 2


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({}, BadData, "row 0 .*has the split 't', dataset.split_names has one of train, select, test"),
        ({"split_names": {"t": "test", "s": "", "v": ""}}, BadConfig, "names no train split"),
        (
            {"split_names": {"t": "train", "s": "", "v": "test"}, "test": "{train}"},
            BadConfig,
            "names a test split, which dataset.test gives too",
        ),
    ],
)
def test_a_column_of_splits_that_cannot_be(
    tmp_path: Path, options: dict[str, Any], kind: type[TunesweepError], words: str
) -> None:
    path = sided(tmp_path)
    given = {key: str(path) if value == "{train}" else value for key, value in options.items()}
    with pytest.raises(kind, match=words):
        load(config(path, split_column="side", **given), 0)


def test_folds_cut_the_train_rows_of_one_file(tmp_path: Path) -> None:
    names = {"t": "train", "s": "", "v": "test"}
    options = {"split_column": "side", "split_names": names, "select_fraction": 0.4, "folds": 2}
    found = [load(config(sided(tmp_path), fold=fold, **options), 0) for fold in (0, 1)]
    assert sorted(found[0].test.ids + found[1].test.ids) == [f"train-{n}" for n in range(6)]
    assert [splits.unread for splits in found] == [["test"], ["test"]]  # which is said


# ---- options that do not go together ----


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"format": "text"}, "one running text: set dataset.task=language_modeling"),
        ({"responses": ["a"]}, "must be two columns"),
        ({"responses": ["a", "b"], "text_pair": "c"}, "beside dataset.text alone"),
        ({"swap": ["a", "b"]}, "dataset.responses="),
        ({"responses": ["a", "b"], "swap": ["a", "a"]}, "must be two classes"),
        ({"responses": ["a", "b"], "augment_swaps": True}, "dataset.swap="),
        ({"train_classes": ["a"], **RUNNING}, "train_classes is about classes"),
        ({"labels": ["a"], **TOLD}, "labels is about classes"),
        ({"group": "g", **RUNNING}, "a running text has none"),
        ({"split_names": {"x": "trian"}}, "did you mean 'train'"),
    ],
)
def test_options_that_exclude_each_other(options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadConfig, match=words):
        DatasetConfig(name="f", train="x", **options)


@pytest.mark.parametrize("key", ["train_classes", "swap"])
def test_a_class_that_the_data_lack_is_refused(tmp_path: Path, key: str) -> None:
    chosen = config(comparisons(tmp_path), **PAIRS | {key: ["a", "tied"]})
    with pytest.raises(BadConfig, match=rf"dataset\.{key}=tied is not an option.*did you mean 'tie'"):
        load(chosen, 0)
