"""Tasks whose answer is written by the language-model head: classes as text, and instructions."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from torch import Tensor

from tunesweep import metrics, perplexity, text_metrics
from tunesweep.config import RunConfig
from tunesweep.data.batches import Batch
from tunesweep.data.module import Answers, DataModule
from tunesweep.errors import BadConfig
from tunesweep.models.readouts import Readout
from tunesweep.scoring import Ask, Seen, score, write
from tunesweep.stats.proportion import wilson
from tunesweep.tasks.task import Scored, Task

UNREADABLE = "(unreadable)"


class Written(Task):
    """Learns the tokens of the answer and of END, and nothing of the prompt."""

    monitors = ("loss",)

    def __init__(self, config: RunConfig, data: DataModule) -> None:
        super().__init__(config, data)
        if config.train.class_weights is not None:
            raise BadConfig(
                f"train.class_weights={config.train.class_weights} weighs classes, and the loss of "
                "readout=generate is over tokens: set it to null, or use readout=label_words"
            )

    def losses(self, network: Readout, batch: Batch) -> Tensor:
        """Return each answer's negative log-likelihood [batch]."""
        losses: Tensor = network.nll(batch)[0]  # type: ignore[operator]
        return losses

    def terms(self, batch: Batch) -> Tensor:
        """Return the number of tokens of each answer [batch]."""
        return batch["answer_mask"].sum(1)

    def look(self, network: Readout, batch: Batch) -> dict[str, Tensor]:
        """Return negative log-likelihood and tokens of each answer."""
        nll, count = network.nll(batch)  # type: ignore[operator]
        return {"nll": nll, "count": count}

    def quick(self, seen: Seen, labels: np.ndarray | None) -> dict[str, float]:
        """Return the loss per token, and the perplexity it comes to."""
        loss = float(seen["nll"].sum() / seen["count"].sum())
        return {"loss": loss, "perplexity": float(np.exp(min(loss, 700.0)))}  # beyond it exp overflows

    def probabilities(self, seen: Seen) -> np.ndarray:
        """Return the geometric mean of an answer's token probabilities [n, 1]."""
        mean: np.ndarray = np.exp(-seen["nll"].astype(np.float64) / seen["count"])
        return mean[:, None]

    def texts(self, network: Readout) -> list[str]:
        """Return what the network writes after the prompts of the test split."""
        longest = self.config.readout.max_new_tokens
        ids = write(network, self.data.test_dataloader(), self.config.train.precision, longest)
        return [str(self.data.tokenizer.decode(text, skip_special_tokens=True)).strip() for text in ids]


class WrittenClasses(Written):
    """Classification by free text: what cannot be read as a class is wrong, and is counted."""

    metric = "accuracy"

    def __init__(self, config: RunConfig, data: DataModule) -> None:
        super().__init__(config, data)
        self.words = class_words(config, data.names)

    def evaluate(self, network: Readout, ask: Ask = score) -> Scored:
        """Write an answer for every example of the test split."""
        return Scored({}, {"text": self.texts(network)})

    def judge(self, scored: Scored, answers: Answers) -> Scored:
        """Read classes off the texts and compare."""
        labels, names = np.asarray(answers), self.data.names
        predicted = np.array([read_class(text, self.words) for text in scored.columns["text"]])
        found = metrics.decided(predicted, labels, names)
        found["unreadable"] = int((predicted < 0).sum())
        found["interval"] = list(wilson(round(found["accuracy"] * len(labels)), len(labels)))
        columns = {
            "label": [names[i] for i in labels],
            "prediction": [names[i] if i >= 0 else UNREADABLE for i in predicted],
        }
        return Scored(found, columns | scored.columns, scored.seen)

    def protocol(self) -> dict[str, Any]:
        """Return accuracy: comparable with every other readout, unreadable answers being wrong."""
        return {"metric": self.metric}


class Instruction(Written):
    """Following instructions: perplexity of the reference answer, and likeness of what is written."""

    metric, higher = "perplexity", False

    def evaluate(self, network: Readout, ask: Ask = score) -> Scored:
        """Return likelihoods of the reference answers, and texts written without them."""
        seen = ask(network, self.data.test_dataloader(), self.config.train.precision, self.look)
        return Scored({}, {"text": self.texts(network)}, seen)

    def judge(self, scored: Scored, answers: Answers) -> Scored:
        """Compare texts with the reference answers."""
        references, texts = [str(answer) for answer in answers], scored.columns["text"]
        nll, count = scored.seen["nll"], scored.seen["count"]
        found = {"n": len(references)} | perplexity.token(nll, count)
        found |= text_metrics.scores(texts, references)
        each = text_metrics.per_example(texts, references)
        columns = {"reference": references, "nll": nll, "tokens": count} | scored.columns | each
        return Scored(found, columns, scored.seen)

    def protocol(self) -> dict[str, Any]:
        """Return whose perplexity it is: tokens of two tokenizers do not compare."""
        return {
            "metric": self.metric,
            "perplexity": "tokens of the reference answer and END, given the prompt",
            "tokenizer": self.config.runtime.point.model_fingerprint,
            "texts": text_metrics.signatures(),
        }


def class_words(config: RunConfig, names: list[str]) -> dict[str, int]:
    """Return every word that stands for a class, lower-cased, and the class's number."""
    words: dict[str, int] = {}
    for number, name in enumerate(names):
        own = config.readout.words.get(name, name)
        for word in own if isinstance(own, list | tuple) else [own]:
            plain = _plain(str(word))
            if not plain or words.get(plain, number) != number:
                raise BadConfig(
                    f"an answer cannot be read as '{name}' by its word '{word}': case, quotes and dashes "
                    "before a word do not count, and classes must differ: give readout.words that do"
                )
            words[plain] = number
    return words


def read_class(text: str, words: dict[str, int]) -> int:
    """Return the class whose word a text begins with, as whole words; -1 where it begins with none."""
    plain = _plain(text)
    for word in sorted(words, key=len, reverse=True):
        if re.match(rf"{re.escape(word)}(?!\w)", plain):
            return words[word]
    return -1


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).lstrip("\"'*([{<-: ")
