"""Proposals of Optuna, rebuilt for each from the trials so far: no state but the seed, and no storage."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from tunesweep.config.search import OptunaConfig
from tunesweep.errors import BadConfig
from tunesweep.search.space import Choice, Dimension, Space, holds, words
from tunesweep.search.trials import Proposal, Trial

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class OptunaSearch:
    """Asks Optuna for one trial after another, or for several at once."""

    settings: OptunaConfig
    space: Space

    def __post_init__(self) -> None:
        if find_spec("optuna") is None:
            raise BadConfig("search=optuna needs Optuna, which is not installed: pip install '.[search]'")

    @property
    def total(self) -> int:
        """Return how many trials there will be."""
        return self.settings.trials

    def propose(self, history: Sequence[Trial]) -> list[Proposal]:
        """Return the next trials; those asked for at once know of one another, not of their scores."""
        asked: list[Proposal] = []
        for _ in range(min(self.settings.batch, self.total - len(history))):
            values = self._ask(history, asked)
            asked.append(Proposal(words(self.space, values), values, member=len(history) + len(asked)))
        return asked

    def accepts(self, known: Sequence[Proposal]) -> bool:
        """Whether all of these lie in the space."""
        return len(known) <= self.total and all(holds(self.space, p.values) for p in known)

    def describe(self) -> list[str]:
        """Return budget and space in words."""
        how = f"sampler {self.settings.sampler}, seed {self.settings.seed}"
        dimensions = "; ".join(dimension.describe() for dimension in self.space)
        return [f"{self.total} trials by Optuna ({how}), chosen on select", f"over {dimensions}"]

    def _ask(self, history: Sequence[Trial], asked: Sequence[Proposal]) -> dict[str, Any]:
        """Return the values of one trial: they follow from seed, number and what is known by then."""
        study = self._study(len(history) + len(asked))
        for trial in history:
            study.add_trial(self._frozen(trial.proposal, trial, finished=True))
        for proposal in asked:
            study.add_trial(self._frozen(proposal, None, finished=False))
        found = study.ask({d.key: _distribution(d) for d in self.space}).params
        return {d.key: _from_optuna(d, found[d.key]) for d in self.space}

    def _study(self, number: int) -> optuna.Study:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        text = f"{self.settings.seed}:{number}".encode()
        seed = int.from_bytes(hashlib.sha256(text).digest()[:4], "big")
        sampler: optuna.samplers.BaseSampler = optuna.samplers.RandomSampler(seed=seed)
        if self.settings.sampler == "tpe":
            sampler = optuna.samplers.TPESampler(
                seed=seed, n_startup_trials=self.settings.startup, constant_liar=True
            )
        return optuna.create_study(direction="maximize", sampler=sampler)  # scores grow with quality

    def _frozen(self, proposal: Proposal, trial: Trial | None, *, finished: bool) -> optuna.trial.FrozenTrial:
        """Return a trial as Optuna holds it: one without a score has failed, or goes on."""
        import optuna

        states, score = optuna.trial.TrialState, trial and trial.score
        state = states.RUNNING if not finished else states.COMPLETE if score else states.FAIL
        return optuna.trial.create_trial(
            state=state,
            value=score.value if score else None,
            params={d.key: _to_optuna(d, proposal.values[d.key]) for d in self.space},
            distributions={d.key: _distribution(d) for d in self.space},
        )


def _distribution(dimension: Dimension) -> optuna.distributions.BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(dimension, Choice):
        count = len(dimension.words)
        return (
            IntDistribution(0, count - 1) if dimension.ordered else CategoricalDistribution(dimension.words)
        )
    if dimension.whole:
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def _to_optuna(dimension: Dimension, value: Any) -> Any:
    ordered = isinstance(dimension, Choice) and dimension.ordered
    return dimension.words.index(value) if ordered else value  # type: ignore[union-attr]


def _from_optuna(dimension: Dimension, value: Any) -> Any:
    if isinstance(dimension, Choice):
        return dimension.words[value] if dimension.ordered else value
    return dimension.settle(value)
