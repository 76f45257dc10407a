"""Classes by their words: how likely the language-model head finds each of them after a prompt.

A word's score is the sum of the log-probabilities of its tokens, or their mean
(`readout.normalise`); a class's score is the logarithm of the summed probabilities of its words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from tunesweep.data.batches import Batch
from tunesweep.models.language import Language, Places, Reading, picked, right, unwrapped
from tunesweep.models.readouts import Readout

ROWS = 64  # continuations read side by side: more of them would only repeat the prompts' keys and values


@dataclass(frozen=True)
class Words:
    """Token ids of every word, and the class that each stands for."""

    tokens: Sequence[Sequence[int]]
    classes: Sequence[int]

    @classmethod
    def of(cls, classes: Sequence[Sequence[Sequence[int]]]) -> Words:
        """Return the words of each class, in the order of the classes."""
        pairs = [(word, number) for number, words in enumerate(classes) for word in words]
        return cls([word for word, _ in pairs], [number for _, number in pairs])


class Scorer(Protocol):
    """Asks a body for the log-probability of every token of every word."""

    def steps(self, body: nn.Module, ids: Tensor, mask: Tensor) -> Tensor:
        """Return log-probabilities [batch, tokens of all words] after prompts [batch, tokens]."""

    def forget(self) -> None:
        """Drop what depends on the weights."""

    def read_rows_whole(self) -> None:
        """See `Readout.read_rows_whole`."""


class LabelWords(Readout):
    """Scores of the classes, on request compared with what the prompt says without the text."""

    def __init__(
        self,
        body: nn.Module,
        scorer: Scorer,
        words: Words,
        *,
        normalise: str = "sum",
        calibration: str | None = None,
        blanks: Sequence[Sequence[int]] = (),
    ) -> None:
        """`blanks`: the prompts without content that a calibration asks about."""
        super().__init__(body)
        self.scorer, self.words, self.calibration = scorer, words, calibration
        self.blanks = [torch.tensor(row) for row in blanks]
        self._blank: Tensor | None = None
        spans = _spans([len(word) for word in words.tokens])
        weights = (spans >= 0).float()
        if normalise == "mean":
            weights = weights / weights.sum(1, keepdim=True)
        self.register_buffer("spans", spans.clamp(min=0), persistent=False)
        self.register_buffer("weights", weights, persistent=False)

    def train(self, mode: bool = True) -> LabelWords:
        """Change the mode; what was remembered of the weights as they were is dropped."""
        self._blank = None
        self.scorer.forget()
        super().train(mode)
        return self

    def read_rows_whole(self) -> None:
        """See `Readout.read_rows_whole`."""
        self.scorer.read_rows_whole()

    def forward(self, batch: Batch) -> Tensor:
        """Return the scores of the classes [batch, classes], calibrated if so configured."""
        scores = self._scores(batch["input_ids"], batch["attention_mask"])
        if self.calibration is None:
            return self._classes(scores)
        return CALIBRATIONS[self.calibration](self, scores, self._blank_scores(scores.device))

    def _scores(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return the score of every word [batch, words]."""
        assert isinstance(self.spans, Tensor)
        assert isinstance(self.weights, Tensor)
        steps = self.scorer.steps(self.body, ids, mask)
        return (steps[:, self.spans] * self.weights).sum(2)

    def _classes(self, scores: Tensor) -> Tensor:
        owners = torch.tensor(self.words.classes, device=scores.device)
        columns = [scores[:, owners == number].logsumexp(1) for number in range(max(self.words.classes) + 1)]
        return torch.stack(columns, 1)

    def _blank_scores(self, device: torch.device) -> Tensor:
        """Return the scores of the words after each blank prompt; in evaluation they are asked for once."""
        if self._blank is not None and not torch.is_grad_enabled():
            return self._blank
        found = self._scores(*right([row.to(device) for row in self.blanks]))
        if not self.training and not torch.is_grad_enabled():
            self._blank = found
        return found

    def contextual(self, scores: Tensor, blank: Tensor) -> Tensor:
        """Return class scores minus what the prompt favours without content.

        Contextual calibration (arXiv:2102.09690): p(class | prompt) / p(class | content-free prompt), the
        latter averaged over "N/A", "[MASK]" and an empty text, each normalised over the classes.
        """
        favoured = self._classes(blank).log_softmax(1).logsumexp(0) - torch.tensor(float(len(blank))).log()
        return self._classes(scores) - favoured

    def pmi(self, scores: Tensor, blank: Tensor) -> Tensor:
        """Return scores of how much more likely each word is with the text than without it.

        Domain-conditional pointwise mutual information (arXiv:2104.08315):
        log p(word | prompt with the text) - log p(word | prompt with an empty text).
        """
        return self._classes(scores - blank)


CALIBRATIONS = {"contextual": LabelWords.contextual, "pmi": LabelWords.pmi}
BLANKS = {"contextual": ("N/A", "[MASK]", ""), "pmi": ("",)}  # what stands in the place of the text


class Written:
    """Words as a causal or sequence-to-sequence model would write them: after the prompt, token by token.

    The prompt is read once. Every token but a word's last is then read after it, once for all words that
    begin alike: single-token words cost nothing more.
    """

    def __init__(self, language: Language, words: Words) -> None:
        self.language = language
        self.openings = _openings(words.tokens)
        # Of every token of every word: in which opening it is predicted, after how many of its tokens.
        self.steps_of = [
            (self._opening(word), at, token) for word in words.tokens for at, token in enumerate(word)
        ]

    def _opening(self, word: Sequence[int]) -> int:
        begins = tuple(word[:-1])
        return next(i for i, opening in enumerate(self.openings) if opening[: len(begins)] == begins)

    def forget(self) -> None:
        """Drop what depends on the weights."""
        self.language.forget()

    def read_rows_whole(self) -> None:
        """See `Readout.read_rows_whole`."""
        self.language.whole_rows = True

    def steps(self, body: nn.Module, ids: Tensor, mask: Tensor) -> Tensor:
        """See `Scorer.steps`."""
        if torch.is_grad_enabled() and getattr(unwrapped(body), "is_activation_checkpointing", False):
            return self.apart(body, ids, mask)  # a layer that is computed again keeps no cache
        return self.together(body, ids, mask)

    def together(self, body: nn.Module, ids: Tensor, mask: Tensor) -> Tensor:
        """Return log-probabilities [batch, tokens of all words], the prompts read once."""
        first, reading = self.language.begin(body, ids, mask)
        wanted = [i for i, (_, at, _) in enumerate(self.steps_of) if at == 0]
        parts, order = [_chosen(first[:, None], [(0, self.steps_of[i][2]) for i in wanted])], wanted
        size = max(1, ROWS // len(ids))
        for begin in range(0, len(self.openings), size):
            wanted = [i for i, (o, at, _) in enumerate(self.steps_of) if at > 0 and begin <= o < begin + size]
            if wanted:
                parts.append(
                    self._after(body, reading, begin, begin + size, [self.steps_of[i] for i in wanted])
                )
                order = order + wanted
        back = torch.tensor(order, device=ids.device).argsort()
        return torch.cat(parts, 1)[:, back]

    def _after(
        self, body: nn.Module, reading: Reading, begin: int, end: int, steps: Sequence[tuple[int, int, int]]
    ) -> Tensor:
        """Return log-probabilities of tokens after some of the openings [batch, steps]."""
        device, batch = reading.mask.device, len(reading.mask)
        rows = right([torch.tensor(opening, dtype=torch.long) for opening in self.openings[begin:end]])[0]
        logits, _ = self.language.go_on(body, reading, rows.to(device).repeat(batch, 1))
        width = rows.shape[1]
        places = [((opening - begin) * width + at - 1, token) for opening, at, token in steps]
        return _chosen(logits.reshape(batch, len(rows) * width, -1), places)

    def apart(self, body: nn.Module, ids: Tensor, mask: Tensor) -> Tensor:
        """Return the same without a cache: the prompt is read before every opening."""
        count, device = len(self.openings), ids.device
        # The last token of an answer is predicted, never read: any will do.
        answers = [torch.tensor([*opening, 0], device=device) for opening in self.openings] * len(ids)
        rows, masks = ids.repeat_interleave(count, 0), mask.repeat_interleave(count, 0)
        logits = self.language.answer_logits(body, rows, masks, answers)
        starts = [sum(len(opening) + 1 for opening in self.openings[:i]) for i in range(count)]
        places = [(starts[opening] + at, token) for opening, at, token in self.steps_of]
        return _chosen(logits.view(len(ids), -1, logits.shape[-1]), places)


class Masked:
    """Words as a masked-LM encoder would fill them in.

    As many masks as the word has tokens stand at the end of the prompt, before its closing special
    token. Each token's probability is read at its own mask, all others being masks too.
    """

    def __init__(self, words: Words, mask_id: int, closing: int, prefix: Sequence[int] = ()) -> None:
        """`closing`: the number of special tokens that end a prompt."""
        self.words, self.mask_id, self.closing, self.prefix = words, mask_id, closing, list(prefix)
        self.lengths = sorted({len(word) for word in words.tokens})

    def forget(self) -> None:
        """Remember nothing."""

    def read_rows_whole(self) -> None:
        """Do as before: an encoder reads both ways, so nothing begins alike."""

    def steps(self, body: nn.Module, ids: Tensor, mask: Tensor) -> Tensor:
        """See `Scorer.steps`."""
        real = mask.sum(1).tolist()
        prompts = [
            self._with_masks(ids[i, :n], length) for i, n in enumerate(real) for length in self.lengths
        ]
        rows, attended = right([row for row, _ in prompts])
        at = [
            start + torch.arange(self.lengths[i % len(self.lengths)]) for i, (_, start) in enumerate(prompts)
        ]
        places = [torch.full_like(columns, number) for number, columns in enumerate(at)]
        wanted = Places(torch.cat(places).to(ids.device), torch.cat(at).to(ids.device))
        with picked(body, wanted, rows.shape[1]):
            logits = body(input_ids=rows, attention_mask=attended).logits
        return _chosen(logits.view(len(ids), sum(self.lengths), -1), self._places())

    def _with_masks(self, prompt: Tensor, count: int) -> tuple[Tensor, int]:
        """Return a prompt with masks before its closing tokens, and where they begin."""
        prompt = torch.cat((prompt.new_tensor(self.prefix), prompt))
        start = len(prompt) - self.closing
        return torch.cat((prompt[:start], prompt.new_full((count,), self.mask_id), prompt[start:])), start

    def _places(self) -> list[tuple[int, int]]:
        starts = {length: sum(self.lengths[:i]) for i, length in enumerate(self.lengths)}
        return [
            (starts[len(word)] + at, token) for word in self.words.tokens for at, token in enumerate(word)
        ]


def _openings(words: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    """Return the beginnings of words that must be read, without those that others begin with."""
    found = sorted({tuple(word[:-1]) for word in words})
    return [
        one for i, one in enumerate(found) if found[i + 1 : i + 2] == [] or found[i + 1][: len(one)] != one
    ]


def _chosen(logits: Tensor, places: Sequence[tuple[int, int]]) -> Tensor:
    """Return the log-probability of a token at each place [batch, places] from logits [batch, k, v]."""
    at, tokens = (torch.tensor(column, device=logits.device) for column in zip(*places, strict=True))
    exact = logits.float()
    chosen: Tensor = exact[:, at, tokens] - exact.logsumexp(-1)[:, at]
    return chosen


def _spans(lengths: Sequence[int]) -> Tensor:
    """Return the places of each word's tokens in all words' tokens [words, longest]; -1 is nothing."""
    starts = [sum(lengths[:number]) for number in range(len(lengths))]
    rows = [torch.arange(start, start + length) for start, length in zip(starts, lengths, strict=True)]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)
