"""What all runs of a group say of the same examples, seen in one pass: each takes its part when it asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from tunesweep.data.batches import Batch
from tunesweep.fused.learner import GroupLearner
from tunesweep.models.readouts import Readout
from tunesweep.scoring import Ask, Look, Seen, at_rest, collect, to_device


class OnePass:
    """Answers the questions that every run asks, in the order in which every run asks them.

    Runs of a group have data and evaluation in common, so the first, second, ... question of each is the
    same. Whoever has failed is left out.
    """

    def __init__(self, learner: GroupLearner) -> None:
        self.learner = learner
        self.there = [member.error is None for member in learner.members]
        self._answers: list[list[Seen]] = []  # by question, then by run

    def of_run(self, run: int) -> Ask:
        """Return what stands for `scoring.score` where this run asks."""
        asked = iter(range(1 << 30))

        def ask(_: Readout, batches: Iterable[Batch], precision: str, look: Look) -> Seen:
            question = next(asked)
            if question == len(self._answers):
                self._answers.append(self._see(batches, precision, look))
            return self._answers[question][run]

        return ask

    def _see(self, batches: Iterable[Batch], precision: str, look: Look) -> list[Seen]:
        network, runs = self.learner.network, range(len(self.there))
        parts: list[list[dict[str, Tensor]]] = [[] for _ in runs]
        with at_rest(network, precision):
            for piece in self._pieces(batches):
                seen = self._look(piece, look)
                for run in runs:
                    own = {key: values[run].float().cpu() for key, values in seen.items()}
                    parts[run].append({"index": piece["index"].cpu()} | own)
        return [collect(part) if there else {} for part, there in zip(parts, self.there, strict=True)]

    def _look(self, piece: dict[str, Any], look: Look) -> dict[str, list[Tensor]]:
        layout = self.learner.layout
        whole = layout.merge([piece if there else None for there in self.there], self.learner.pad)
        return {key: layout.split(value) for key, value in look(self.learner.network, whole).items()}

    def _pieces(self, batches: Iterable[Batch]) -> Iterator[dict[str, Any]]:
        """Cut batches so that those of all runs together are about as large as one, and of its width."""
        for batch in batches:
            moved = to_device(batch, self.learner.network)
            size = -(-len(moved["index"]) // sum(self.there))
            cut = {key: torch.split(value, size) for key, value in moved.items()}
            yield from (dict(zip(cut, values, strict=True)) for values in zip(*cut.values(), strict=True))
