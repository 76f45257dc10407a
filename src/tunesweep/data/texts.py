"""Splits of texts as rows of token ids, each task and readout in its own way."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from tunesweep.config import RunConfig
from tunesweep.data import blocks, prompts, shots, tokens
from tunesweep.data.examples import Examples, Splits
from tunesweep.data.prompts import Prompt
from tunesweep.errors import BadConfig
from tunesweep.identity import digest


class Texts:
    """Turns the splits of a point into rows; `prefix` are the ids that stand before all of them."""

    def __init__(
        self, config: RunConfig, splits: Splits, encoding: Any, tokenizer: Any, fingerprint: str
    ) -> None:
        self.config, self.splits, self.encoding = config, splits, encoding
        self.tokenizer, self.fingerprint = tokenizer, fingerprint
        self.bare = self._bare()
        shared = config.method.shots.by == "seed"
        chosen = self._chosen() if config.method.shots.k and shared else []
        self.shot_ids = [splits.train.ids[index] for index in chosen]
        self.prompt = None if self.bare is None else self._solved(chosen)
        self._check_room(len(self.prefix))

    @property
    def prefix(self) -> list[int]:
        """Return the ids of solved examples, which a readout reads once; empty where there are none."""
        if self.prompt is None or not self.prompt.shots:
            return []
        return self._opening(self.prompt.before)

    def _opening(self, before: str) -> list[int]:
        assert self.prompt is not None
        call = prompts.PromptCall(self.prompt, self.tokenizer, self.encoding.max_length, self.encoding.cut)
        return call.opening(before)

    def _check_room(self, taken: int) -> None:
        """Refuse solved examples, so many tokens of them, that leave no room for the one in question."""
        limit, length = self.config.model.max_length, self.encoding.max_length
        if limit and length + taken > limit:
            raise BadConfig(
                f"method.shots.k={self.config.method.shots.k} solved examples take {taken} tokens, beside "
                f"encoding.max_length={length} more than model={self.config.model.name} can read ({limit}): "
                "take fewer, or shorten the length"
            )

    def rows(self, examples: Examples, learnt: bool) -> datasets.Dataset:
        """Return one split; with answers where they are learnt from, or are what is scored."""
        if self.config.dataset.task == "language_modeling":
            return self._blocks(examples, learnt)
        written = self.config.readout.name == "generate"
        answers = written and (learnt or self.config.dataset.task == "instruction")
        return tokens.tokenise(
            examples,
            self.encoding,
            self.tokenizer,
            prompt=self.prompt,
            befores=self._befores(examples),
            answers=[self.answer(label) for label in examples.labels] if answers else None,
            cache=Path(self.config.runtime.cache),
            tokenizer_fingerprint=self.fingerprint,
        )

    def answer(self, label: str) -> str:
        """Return what a model should write for a label: the class's first word, or the answer itself."""
        assert self.bare is not None
        return prompts.leading_space(self.bare) + word_of(self.config, label)

    def _bare(self) -> Prompt | None:
        """Return the prompt of one example; None where the tokenizer alone joins what is read."""
        readout, task = self.config.readout, self.config.dataset.task
        joined = getattr(self.encoding, "joined", False)  # by its own template, not by the tokenizer
        if task == "language_modeling" or not (readout.prompted or joined):
            return None
        asked = readout.prompt if readout.prompted and task == "classification" else None
        bare = Prompt(*prompts.template(asked, self.encoding))
        return prompts.in_chat(bare, self.tokenizer, []) if self._chat else bare

    @property
    def _chat(self) -> bool:
        return self.config.readout.prompted and (
            self.config.readout.chat or bool(getattr(self.encoding, "chat", False))
        )

    def _chosen(self) -> list[int]:
        wanted = self.config.method.shots
        return shots.choose(self.splits.train, wanted.k, wanted.per_class, self.config.seeds.data)

    def _solved(self, chosen: list[int]) -> Prompt:
        """Return the prompt after these rows of train, as questions with their answers."""
        assert self.bare is not None
        turns = [self._turn(index) for index in chosen]
        if self._chat:
            return prompts.in_chat(replace(self.bare, before="", after=""), self.tokenizer, turns)
        return prompts.after_shots(self.bare, turns) if turns else self.bare

    def _turn(self, index: int) -> tuple[str, str]:
        assert self.bare is not None
        train = self.splits.train
        content = self.bare.content(self.encoding.encode(train.inputs[index]))[0]
        return content, self.answer(train.labels[index])

    def _befores(self, examples: Examples) -> list[str] | None:
        """Return for each example the solved ones most like it, where they are chosen that way."""
        wanted = self.config.method.shots
        if not wanted.k or wanted.by == "seed":
            return None
        found = shots.similar(self.splits.train, examples.inputs, wanted.k)
        befores = [self._solved(chosen).before for chosen in found]
        self._check_room(max((len(self._opening(before)) for before in befores), default=0))
        return befores

    def unscored(self, examples: Examples) -> list[blocks.Span]:
        """Return the characters of a running text that no window scores."""
        source = self._stream(examples)
        return blocks.unscored(self._windows(source.ids, learnt=False), source)

    def _blocks(self, examples: Examples, learnt: bool) -> datasets.Dataset:
        """Return a running text as windows: whole blocks to learn from, all of it to score."""
        content = digest(list(examples.inputs))
        settings = [tokens.COLUMNS, asdict(self.encoding), self.fingerprint, learnt, content]
        path = Path(self.config.runtime.cache) / "tokens" / f"{digest(settings)}.arrow"
        if not path.exists():
            windows = self._windows(self._stream(examples).ids, learnt)
            rows = datasets.Dataset.from_dict({"index": list(range(len(windows)))})
            tokens.write_rows(rows, lambda batch: _window_columns(windows, batch["index"]), [], path)
        return datasets.Dataset.from_file(str(path))

    def _windows(self, ids: list[int], learnt: bool) -> list[blocks.Window]:
        length = self.encoding.max_length
        if learnt:
            windows = blocks.training_windows(ids, length)
        else:
            windows = blocks.scoring_windows(ids, length, self.encoding.stride)
        if not windows:
            raise BadConfig(
                f"encoding.max_length={length} is longer than a split of {len(ids)} tokens: shorten it, or "
                "give more text"
            )
        return windows

    def _stream(self, examples: Examples) -> blocks.Stream:
        begin = self.tokenizer.bos_token_id if self.encoding.bos else None
        return blocks.stream(list(map(str, examples.inputs)), self.encoding.joiner, self.tokenizer, begin)


def _window_columns(windows: list[Any], places: list[int]) -> dict[str, list[Any]]:
    found = [windows[place] for place in places]
    return {
        "input_ids": [list(window.ids) for window in found],
        "scored": [window.scored for window in found],
        "length": [len(window.ids) for window in found],
        "truncated": [False] * len(found),
    }


def word_of(config: RunConfig, label: str) -> str:
    """Return the first word of a class, or the label itself."""
    words = config.readout.words.get(label, label)
    return str(next(iter(words)) if isinstance(words, list | tuple) else words)


def scored_terms(rows: Any) -> np.ndarray:
    """Return how many losses each row is the sum of: answer tokens, scored tokens, or one."""
    names = getattr(rows, "column_names", ())
    if "answer_ids" in names:
        return np.array([len(ids) for ids in rows["answer_ids"]], dtype=np.int64)
    if "scored" in names:
        return np.asarray(rows["scored"][:], dtype=np.int64)
    return np.ones(len(rows), dtype=np.int64)
