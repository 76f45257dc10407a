"""Answers as text: the likelihood of a given one, and the one that the model would write."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from tunesweep.data.batches import Batch
from tunesweep.models import token_losses
from tunesweep.models.language import Language, unwrapped
from tunesweep.models.readouts import Readout


class Generator(Readout):
    """The language-model head itself: what it says of an answer, and what it writes."""

    def __init__(
        self,
        body: nn.Module,
        language: Language,
        *,
        ends: Iterable[int],
        pad: int,
        allowed: Sequence[Sequence[int]] | None = None,
    ) -> None:
        """`ends`: tokens that end an answer; `allowed`: the only answers that can be written, if not all."""
        super().__init__(body)
        self.language, self.pad, self.ends = language, pad, sorted(set(ends))
        self.following = None if allowed is None else following(allowed, self.ends)

    def train(self, mode: bool = True) -> Generator:
        """Change the mode; what was remembered of the weights as they were is dropped."""
        self.language.forget()
        super().train(mode)
        return self

    def read_rows_whole(self) -> None:
        """See `Readout.read_rows_whole`."""
        self.language.whole_rows = True

    def nll(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return each answer's negative log-likelihood in nats [batch], and its number of tokens [batch].

        The answer is `answer_ids` where the batch has them, END included; else the last `scored` tokens of
        the row. Logits are computed where answers are predicted, and nowhere else.
        """
        ids, mask, answers = _parts(batch)
        compute = partial(self.language.answer_logits, self.body, ids, mask, answers)
        losses = token_losses.losses(unwrapped(self.body), compute, torch.cat(answers))
        counts = torch.tensor([len(answer) for answer in answers], device=ids.device)
        owners = torch.arange(len(answers), device=ids.device).repeat_interleave(counts)
        return losses.new_zeros(len(answers)).index_add(0, owners, losses), counts

    @torch.no_grad()
    def generate(self, batch: Batch, longest: int) -> list[list[int]]:
        """Return the likeliest tokens one after another, END not included, at most `longest` of them."""
        logits, reading = self.language.begin(self.body, batch["input_ids"], batch["attention_mask"])
        written = batch["input_ids"].new_empty(len(logits), 0)
        ends, done = (
            written.new_tensor(self.ends),
            torch.zeros(len(logits), dtype=torch.bool, device=written.device),
        )
        while True:
            tokens = self._allowed(logits, written).argmax(-1).masked_fill(done, self.pad)
            written, done = torch.cat((written, tokens[:, None]), 1), done | torch.isin(tokens, ends)
            if done.all() or written.shape[1] == longest:
                return [self._until_end(row) for row in written.tolist()]
            after, reading = self.language.go_on(self.body, reading, tokens[:, None])
            logits = after[:, -1]

    def _allowed(self, logits: Tensor, written: Tensor) -> Tensor:
        """Return logits [batch, vocabulary] without the tokens that no allowed answer goes on with."""
        if self.following is None:
            return logits
        barred = torch.ones_like(logits, dtype=torch.bool)
        for number, row in enumerate(written.tolist()):
            barred[number, self.following.get(tuple(row), self.ends)] = False
        return logits.masked_fill(barred, -torch.inf)

    def _until_end(self, row: list[int]) -> list[int]:
        return row[: next((place for place, token in enumerate(row) if token in self.ends), len(row))]


def following(answers: Sequence[Sequence[int]], ends: Sequence[int]) -> dict[tuple[int, ...], list[int]]:
    """Return which tokens may come after each beginning of the answers."""
    found: dict[tuple[int, ...], set[int]] = {}
    for answer in answers:
        for place, token in enumerate(answer):
            found.setdefault(tuple(answer[:place]), set()).add(token)
        found.setdefault(tuple(answer), set()).update(ends)
    return {beginning: sorted(tokens) for beginning, tokens in found.items()}


def _parts(batch: Batch) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Return prompts [batch, tokens], their mask, and the answers; a text's first token is never one."""
    ids, mask = batch["input_ids"], batch["attention_mask"]
    if "answer_ids" in batch:
        lengths = batch["answer_mask"].sum(1).tolist()
        return ids, mask, [row[:length] for row, length in zip(batch["answer_ids"], lengths, strict=True)]
    ends = mask.sum(1)
    starts = (ends - batch["scored"]).clamp(min=1)
    bounds = zip(ids, starts.tolist(), ends.tolist(), strict=True)
    prompts = mask * (torch.arange(ids.shape[1], device=ids.device) < starts[:, None])
    return ids, prompts, [row[start:end] for row, start, end in bounds]
