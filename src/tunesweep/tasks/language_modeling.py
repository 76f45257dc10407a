"""Next-token prediction on running text: perplexity, with the protocol it was measured by (R18)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from tunesweep import perplexity
from tunesweep.data.batches import Batch
from tunesweep.data.module import Answers
from tunesweep.models.readouts import Readout
from tunesweep.scoring import Ask, score
from tunesweep.tasks.task import Scored
from tunesweep.tasks.written import Written


class LanguageModeling(Written):
    """Learns every token of whole blocks, and scores all of a text in windows."""

    metric, higher = "perplexity", False

    def terms(self, batch: Batch) -> Tensor:
        """Return the number of scored tokens of each window [batch]."""
        return batch["scored"]

    def evaluate(self, network: Readout, ask: Ask = score) -> Scored:
        """Return the likelihood of every window of the test split."""
        return Scored(
            {}, seen=ask(network, self.data.test_dataloader(), self.config.train.precision, self.look)
        )

    def judge(self, scored: Scored, answers: Answers) -> Scored:
        """Return the perplexities; the text is its own answer."""
        nll, count = scored.seen["nll"], scored.seen["count"]
        test, texts = self.data.splits.test, self.data.texts
        assert texts is not None
        text = texts.encoding.joiner.join(map(str, test.inputs))
        found = {"n": len(nll)} | perplexity.token(nll, count)
        found |= perplexity.of_text(nll, count, text, texts.unscored(test))
        return Scored(found, {"nll": nll, "tokens": count}, scored.seen)

    def protocol(self) -> dict[str, Any]:
        """Return what four published protocols differ in, so that they are never mixed."""
        assert self.data.texts is not None
        encoding = self.data.texts.encoding
        return {
            "metric": self.metric,
            "perplexity": perplexity.protocol(
                context=encoding.max_length,
                stride=encoding.stride or encoding.max_length,
                joiner=encoding.joiner,
                bos=encoding.bos,
            ),
            "tokenizer": self.config.runtime.point.model_fingerprint,
        }
