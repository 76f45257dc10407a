"""Splits as rows of ids: what each task reads, what it learns to write, and what stands before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunesweep.build import build
from tunesweep.data import blocks
from tunesweep.data.examples import Examples, Splits
from tunesweep.data.texts import Texts, scored_terms, word_of
from tunesweep.errors import BadConfig
from tunesweep.models.tokenizer import load_tokenizer

FILES = (
    "dataset=files",
    "dataset.train=unread.csv",
    "model=random_t5",
)  # the tokenizer of minilm, with an END
FEW_SHOT = (*FILES, "method=few_shot", "readout=label_words")
TRAIN = [
    "red apple pie",
    "blue car engine",
    "green apple tart",
    "loud car horn",
    "ripe apple cake",
    "fast car race",
]
LABELS = ["food", "cars"] * 3
TEST = ["an apple pie", "a car horn"]


def part(name: str, inputs: Any, labels: list[str] | None = None, task: str = "classification") -> Examples:
    ids = [f"{name}-{row}" for row in range(len(inputs))]
    return Examples(ids, inputs, labels or [""] * len(inputs), task=task)


def splits(train: Any = TRAIN, labels: list[str] | None = LABELS, test: Any = TEST, **more: Any) -> Splits:
    learnt, scored = (
        part("train", train, labels, **more),
        part("test", test, (labels or [])[: len(test)], **more),
    )
    return Splits(learnt, part("select", test, (labels or [])[: len(test)], **more), scored, ["food", "cars"])


@pytest.fixture
def made(make_config: Any, cache: Path) -> Any:
    """Compose a point and return its texts over some splits."""

    def make(*words: str, data: Splits | None = None) -> Texts:
        config = make_config(*words)
        tokenizer = load_tokenizer(config.model, cache)
        return Texts(config, data or splits(), build(config.encoding), tokenizer, "t")

    return make


def shown(texts: Texts, ids: list[int]) -> str:
    return str(texts.tokenizer.decode(ids))


def test_a_head_reads_what_the_tokenizer_alone_makes_of_a_text(made: Any) -> None:
    texts = made(*FILES, "method=full")
    rows = texts.rows(texts.splits.test, learnt=False)
    assert rows["input_ids"][:] == texts.tokenizer(TEST)["input_ids"]
    assert (texts.prompt, texts.prefix) == (None, [])


def test_a_pair_is_read_by_its_joiner_where_it_has_one(made: Any) -> None:
    words = (*FILES, "dataset.text_pair=other", "encoding=pair", "method=full")
    data = splits([("a", "b"), ("c", "d")], ["food", "cars"], [("e", "f")])
    plain, joined = made(*words, data=data), made(*words, "encoding.joiner=' versus '", data=data)
    assert plain.rows(data.test, learnt=False)["input_ids"][:] == plain.tokenizer(["e"], ["f"])["input_ids"]
    assert (
        joined.rows(data.test, learnt=False)["input_ids"][:] == plain.tokenizer(["e versus f"])["input_ids"]
    )


def test_words_of_classes_are_asked_for_and_written_only_where_they_are_learnt(made: Any) -> None:
    asked = made(*FILES, "method=full", "readout=label_words", "readout.prompt='{text} Which?'")
    assert "answer_ids" not in asked.rows(asked.splits.train, learnt=True).column_names
    expected = asked.tokenizer([f"{text} Which?" for text in TEST])["input_ids"]
    assert asked.rows(asked.splits.test, learnt=False)["input_ids"][:] == expected
    words = "+readout.words={food: [tasty meal, dish], cars: fast}"
    written = made(*FILES, "method=full", "readout=generate", "readout.prompt='{text} Which?'", words)
    assert "answer_ids" not in written.rows(written.splits.test, learnt=False).column_names
    rows = written.rows(written.splits.train, learnt=True)
    assert [shown(written, ids) for ids in rows["answer_ids"]] == ["tasty meal [SEP]", "fast [SEP]"] * 3
    assert rows["input_ids"][0] == written.tokenizer("red apple pie Which?")["input_ids"]


def test_the_word_of_a_class_is_its_first_or_its_name(make_config: Any) -> None:
    config = make_config(*FILES, "+readout.words={food: [tasty meal, dish], cars: 4}")
    assert [word_of(config, label) for label in ("food", "cars", "other")] == ["tasty meal", "4", "other"]


INSTRUCTION = (*FILES, "dataset.task=instruction", "readout=generate", "encoding=instruction", "method=full")


def test_answers_of_instructions_are_learnt_and_scored(made: Any) -> None:
    data = splits(["Add 1 and 2.", "Say no."], ["3", "No."], ["Add 2 and 2."], task="instruction")
    texts = made(*INSTRUCTION, "encoding.max_answer=2", data=data)
    train, test = (texts.rows(rows, learnt) for rows, learnt in ((data.train, True), (data.test, False)))
    assert [shown(texts, ids) for ids in train["answer_ids"]] == ["3 [SEP]", "no [SEP]"]  # two tokens at most
    assert [shown(texts, ids) for ids in test["answer_ids"]] == ["3 [SEP]"]
    assert test["input_ids"][0] == texts.tokenizer("Add 2 and 2.\n\nAnswer:")["input_ids"]


def test_solved_examples_of_a_seed_are_rows_of_train_read_once_for_all(made: Any) -> None:
    texts = made(*FEW_SHOT, "method.shots.k=2", "method.shots.per_class=true", "readout.prompt='{text} is'")
    chosen = [TRAIN.index(text) for text in TRAIN if f"train-{TRAIN.index(text)}" in texts.shot_ids]
    assert sorted(LABELS[row] for row in chosen) == ["cars", "cars", "food", "food"]
    order = [int(name.removeprefix("train-")) for name in texts.shot_ids]
    solved = "".join(f"{TRAIN[row]} is {LABELS[row]}\n\n" for row in order)
    begin, end = texts.tokenizer.cls_token_id, texts.tokenizer.sep_token_id
    assert texts.prefix == [begin, *texts.tokenizer(solved, add_special_tokens=False)["input_ids"]]
    rows = texts.rows(texts.splits.test, learnt=False)
    expected = [texts.tokenizer(f"{text} is", add_special_tokens=False)["input_ids"] for text in TEST]
    assert rows["input_ids"][:] == [[*ids, end] for ids in expected]
    other = made(*FEW_SHOT, "method.shots.k=2", "method.shots.per_class=true", "seeds.data=4")
    assert other.shot_ids != texts.shot_ids


def test_solved_examples_by_likeness_are_each_examples_own_and_never_itself(made: Any) -> None:
    words = (
        "method.shots.k=1",
        "method.shots.by=similarity",
        "readout.prompt='{text} is'",
        "encoding.max_length=7",
    )
    texts = made(*FEW_SHOT, *words)
    assert (texts.prefix, texts.shot_ids) == ([], [])
    rows = texts.rows(texts.splits.test, learnt=False)
    assert [shown(texts, ids) for ids in rows["input_ids"]] == [
        "[CLS] red apple pie is food an apple pie is [SEP]",  # longer than 7: those before come on top
        "[CLS] loud car horn is cars a car horn is [SEP]",
    ]
    for text, ids in zip(TRAIN, texts.rows(texts.splits.train, learnt=True)["input_ids"], strict=True):
        assert shown(texts, ids).count(text) == 1


def test_solved_examples_by_likeness_must_leave_room_too(made: Any) -> None:
    words = ("method.shots.k=3", "method.shots.by=similarity", "model.max_length=12", "encoding.max_length=7")
    texts = made(*FEW_SHOT, *words)
    with pytest.raises(BadConfig, match=r"method.shots.k=3 solved examples take \d+ tokens"):
        texts.rows(texts.splits.test, learnt=False)


def test_likeness_does_not_balance(made: Any) -> None:
    words = ("method.shots.k=1", "method.shots.by=similarity", "method.shots.per_class=true")
    with pytest.raises(BadConfig, match="whatever their class: leave one out"):
        made(*FEW_SHOT, *words)


def test_a_chat_is_put_around_prompt_and_solved_examples(made: Any) -> None:
    words = ("method.shots.k=2", "readout.prompt='{text} is'", "readout.chat=true")
    with pytest.raises(BadConfig, match="needs a chat template"):
        made(*FEW_SHOT, *words)


RUNNING = (*FILES, "dataset.task=language_modeling", "readout=generate", "encoding=blocks", "method=full")
LINES = [f"Line {n} of a book." for n in range(40)]


@pytest.mark.parametrize("stride", [None, 3])
def test_windows_of_a_running_text_are_those_of_blocks(made: Any, stride: int | None) -> None:
    data = splits(LINES, None, LINES[:7], task="language_modeling")
    word = f"encoding.stride={'null' if stride is None else stride}"
    texts = made(*RUNNING, "encoding.max_length=8", word, "encoding.joiner=' / '", data=data)
    ids = {n: texts.tokenizer(" / ".join(LINES[:n]), add_special_tokens=False)["input_ids"] for n in (40, 7)}
    learnt, scored = texts.rows(data.train, learnt=True), texts.rows(data.test, learnt=False)
    windows = blocks.training_windows(ids[40], 8)
    assert learnt["input_ids"][:] == [list(window.ids) for window in windows]
    assert [token for row in learnt["input_ids"] for token in row] == ids[40][: len(ids[40]) // 8 * 8]
    assert learnt["scored"][:] == [7] * len(windows)
    windows = blocks.scoring_windows(ids[7], 8, stride)
    assert scored["input_ids"][:] == [list(window.ids) for window in windows]
    assert scored["scored"][:] == [window.scored for window in windows]
    assert sum(scored["scored"][:]) == len(ids[7]) - (len(windows) if stride is None else 1)
    unscored = texts.unscored(data.test)
    assert unscored[0] == (0, 5)  # the first word, and the space after it: nothing in a window predicts it
    assert len(unscored) == (len(windows) if stride is None else 1)


def test_a_block_longer_than_the_text_is_refused(made: Any) -> None:
    texts = made(
        *RUNNING, "encoding.max_length=512", data=splits(LINES[:3], None, LINES[:1], task="language_modeling")
    )
    with pytest.raises(
        BadConfig, match=r"encoding\.max_length=512 is longer than a split of \d+ tokens: shorten it"
    ):
        texts.rows(texts.splits.train, learnt=True)


def test_a_row_is_the_sum_of_so_many_losses(made: Any) -> None:
    texts = made(*FILES, "method=full", "readout=generate", "+readout.words={food: good meal, cars: fast}")
    assert scored_terms(texts.rows(texts.splits.train, learnt=True)).tolist() == [3, 2] * 3  # END included
    assert scored_terms(texts.rows(texts.splits.test, learnt=False)).tolist() == [1, 1]
    data = splits(LINES, None, LINES[:7], task="language_modeling")
    running = made(*RUNNING, "encoding.max_length=8", data=data)
    rows = running.rows(data.test, learnt=False)
    assert scored_terms(rows).tolist() == rows["scored"][:]
    assert scored_terms([{"image": np.zeros((2, 2)), "index": 0}]).tolist() == [1]
