"""Running text: perplexity over windows, with all that four published protocols differ in (R18)."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import samples
from tunesweep.tasks.language_modeling import LanguageModeling
from tunesweep.tasks.task import Scored
from workplace import attached, tiny

TEXT = ["a bé", "c d e"]


def stand_in(unscored: list[tuple[int, int]]) -> Any:
    encoding = SimpleNamespace(joiner="\n", max_length=8, stride=None, bos=False)
    texts = SimpleNamespace(encoding=encoding, unscored=lambda _: unscored)
    return SimpleNamespace(names=[], texts=texts, splits=SimpleNamespace(test=SimpleNamespace(inputs=TEXT)))


@pytest.mark.parametrize(("unscored", "words", "size"), [([], 5, 11), ([(0, 1), (4, 5)], 4, 9)])
def test_perplexities_are_per_token_word_and_byte(make_config, tmp_path, unscored, words, size):
    task = LanguageModeling(make_config(*samples.counting(tmp_path)), stand_in(unscored))
    nll, count = np.array([4.0, 2.5]), np.array([3.0, 2.0])
    found = task.judge(Scored({}, seen={"nll": nll, "count": count}), TEXT)
    assert found.metrics["n"] == 2
    assert found.metrics["perplexity"] == pytest.approx(math.exp(6.5 / 5))
    assert found.metrics["word_perplexity"] == pytest.approx(math.exp(6.5 / words))
    assert found.metrics["byte_perplexity"] == pytest.approx(math.exp(6.5 / size))
    assert found.metrics["bits_per_byte"] == pytest.approx(6.5 / math.log(2) / size)
    assert list(found.columns["nll"]) == [4.0, 2.5]
    assert list(found.columns["tokens"]) == [3, 2]


def test_the_protocol_says_how_it_was_measured(make_config, tmp_path):
    config = make_config(*samples.counting(tmp_path))
    config.runtime.point.model_fingerprint = "its tokens"
    data, said = stand_in([]), "token, concatenated, context 8, stride 8, joiner '\\n', no BOS"
    expected = {"metric": "perplexity", "perplexity": said, "tokenizer": "its tokens"}
    assert LanguageModeling(config, data).protocol() == expected
    data.texts.encoding.stride = 4
    assert "stride 4" in LanguageModeling(config, data).protocol()["perplexity"]


@pytest.mark.parametrize("stride", [None, 3])
def test_a_text_is_as_likely_as_a_plain_loop_says(make_config, tmp_path, stride):
    """Every token given the tokens before it in its window; a window begins `stride` after the last."""
    words = (*tiny("random_llama"), *samples.counting(tmp_path), "method=zero_shot")
    with attached(make_config(*words, f"encoding.stride={stride or 'null'}")) as work:
        text = "\n".join(map(str, work.data.splits.test.inputs))
        ids = work.data.tokenizer(text, add_special_tokens=False)["input_ids"]
        assert len(ids) == 21
        losses, seen = [], 0
        for start in range(0, len(ids), stride or 8):
            end = min(start + 8, len(ids))
            for place in range(max(start + 1, seen), end):
                with torch.no_grad():
                    logits = work.network.body(input_ids=torch.tensor([ids[start:place]])).logits[0, -1]
                losses.append(-float(logits.log_softmax(-1)[ids[place]]))
            seen = end
            if end == len(ids):
                break
        found = work.task.judge(work.task.evaluate(work.network), []).metrics
    assert len(losses) == (18 if stride is None else 20)
    assert found["loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    assert found["perplexity"] == pytest.approx(math.exp(sum(losses) / len(losses)), rel=1e-4)
