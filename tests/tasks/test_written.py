"""Answers that are written: how a class is read off them, and how they are judged."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sacrebleu import corpus_bleu
from scipy.stats import binomtest
from sklearn import metrics as sk

import samples
from tunesweep.data.module import DataModule
from tunesweep.errors import BadConfig
from tunesweep.point import run
from tunesweep.tasks.task import Scored
from tunesweep.tasks.written import Instruction, WrittenClasses, class_words, read_class
from workplace import at_work, tiny

NAMES = ["entailment", "not_entailment", "sci/tech", "yes"]
WORDS = {"entailment": 0, "not entailment": 1, "no": 1, "sci/tech": 2, "yes": 3, "yes, but no": 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("entailment", 0),
        ("Entailment.", 0),
        ("not  entailment, I think", 1),  # whatever stands between two words
        ("no", 1),
        ("none of them", -1),  # a word is a whole word
        ("entailments", -1),
        ("yes", 3),
        ("Yes, but No!", 1),  # the longest word that fits
        ("yes, but not quite", 3),
        ('"Sci/Tech"', 2),
        ("- yes", 3),
        ("(yes)", 3),
        ("the answer is yes", -1),  # it begins with another
        ("yes_or_no", -1),
        ("", -1),
        ("...", -1),
    ],
)
def test_a_class_is_read_where_a_text_begins_with_its_word(text, expected):
    assert read_class(text, WORDS) == expected


def test_every_word_of_a_class_stands_for_it(make_config):
    words = "+readout.words={entailment: [Yes, TRUE], yes: 'of  course'}"
    found = class_words(make_config("readout=generate", words), NAMES)
    assert found == {"yes": 0, "true": 0, "not_entailment": 1, "sci/tech": 2, "of course": 3}


@pytest.mark.parametrize(
    "words",
    ["{yes: Entailment}", "{yes: '\"entailment'}", "{yes: '- entailment'}", "{yes: '-'}", "{yes: ['']}"],
)
def test_classes_that_an_answer_does_not_tell_apart_are_refused(make_config, words):
    with pytest.raises(BadConfig, match="an answer cannot be read as 'yes' by its word"):
        class_words(make_config("readout=generate", f"+readout.words={words}"), NAMES)


def stand_in(names: list[str]) -> DataModule:
    data: Any = SimpleNamespace(names=names)
    return data


def test_what_cannot_be_read_is_wrong_and_counted(make_config):
    names = ["good", "bad", "mixed"]
    texts = ["Good!", "bad, I fear", "I do not know", "'mixed'", "goodness", "bad"]
    labels = np.array([0, 0, 1, 2, 0, 1])
    task = WrittenClasses(make_config("readout=generate"), stand_in(names))
    found = task.judge(Scored({}, {"text": texts}), labels)
    read = np.array([0, 1, 9, 2, 9, 1])  # 9: no class
    assert found.metrics["unreadable"] == 2
    assert (found.metrics["n"], found.metrics["accuracy"]) == (6, pytest.approx(3 / 6))
    assert tuple(found.metrics["interval"]) == pytest.approx(
        tuple(binomtest(3, 6).proportion_ci(method="wilson"))
    )
    assert found.metrics["confusion"] == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    f1 = sk.f1_score(labels, read, labels=[0, 1, 2], average="macro")
    assert found.metrics["macro_f1"] == pytest.approx(f1)
    assert found.columns["label"] == ["good", "good", "bad", "mixed", "good", "bad"]
    assert found.columns["prediction"] == ["good", "bad", "(unreadable)", "mixed", "(unreadable)", "bad"]
    assert found.columns["text"] == texts
    assert task.protocol() == {"metric": "accuracy"}


def test_instructions_are_judged_by_likelihood_and_by_likeness(make_config, tmp_path):
    config = make_config(*samples.sums(tmp_path))
    config.runtime.point.model_fingerprint = "its tokens"
    task = Instruction(config, stand_in([]))
    references, texts = ["nine", "one one", "it is 4"], ["Nine.", "two one", "the sum is 5"]
    seen = {"nll": np.array([2.0, 3.0, 5.0]), "count": np.array([2.0, 3.0, 4.0])}
    found = task.judge(Scored({}, {"text": texts}, seen), references)
    assert found.metrics["n"] == 3
    assert found.metrics["perplexity"] == pytest.approx(math.exp(10 / 9))
    low, high = found.metrics["interval"]
    assert low < math.exp(10 / 9) < high
    assert found.metrics["exact_match"] == pytest.approx(1 / 3)
    assert found.metrics["token_f1"] == pytest.approx((1 + 1 / 2 + 2 * 1 / (4 + 3)) / 3)
    assert found.metrics["numeric_match"] == 0  # of the one reference that has a number
    assert found.metrics["bleu"] == pytest.approx(corpus_bleu(texts, [references], force=True).score)
    assert found.columns["reference"] == references
    assert found.columns["exact_match"] == [1, 0, 0]
    assert found.columns["numeric_match"] == [None, None, 0]
    assert list(found.columns["nll"]) == [2, 3, 5]
    assert task.protocol()["tokenizer"] == "its tokens"


def test_the_loss_of_a_split_is_per_token(make_config, tmp_path):
    task = Instruction(make_config(*samples.sums(tmp_path)), stand_in([]))
    seen = {"nll": np.array([1.0, 9.0]), "count": np.array([1.0, 4.0])}
    assert task.quick(seen, None) == {"loss": 2.0, "perplexity": pytest.approx(math.exp(2))}
    np.testing.assert_allclose(task.probabilities(seen), [[math.exp(-1)], [math.exp(-9 / 4)]])
    assert task.quick({"nll": np.array([1e6]), "count": np.array([1.0])}, None)["perplexity"] < math.inf


@pytest.mark.parametrize("model", ["random_llama", "random_t5"])
def test_what_is_not_trained_is_prompted_and_leaves_nothing(make_config, tmp_path, model):
    config = make_config(*tiny(model), *samples.answers(tmp_path), "method=zero_shot")
    record = run(config)
    assert record.status == "succeeded", record.failure
    assert set(record.metrics) == {"test", "protocol"}
    assert (record.history, record.parameters["trainable"]) == ([], 0)
    assert set(record.artefacts) == {"predictions"}
    assert not {"disk_bytes", "epochs", "minutes_per_epoch"} & set(record.cost)
    assert not {"reload_change", "merge", "adapter_change", "head_change"} & set(record.integrity)
    assert record.config["train"] == {"precision": "fp32"}
    with at_work(config) as work:
        assert record.metrics["test"]["n"] == len(work.data.splits.test) > 5
        assert record.integrity["frozen_tensors_unchanged"] == len(list(work.new_network().parameters()))
