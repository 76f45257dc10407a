"""Successive halving: every rung is an ordinary run with more epochs, and fewer points reach it. Pure.

Jamieson and Talwalkar 2016 (arXiv:1502.07943); one of `eta` goes on rather than one of two, as in Hyperband
(Li et al., arXiv:1603.06560), so that with eta = 2 it is theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunesweep.config.search import HalvingConfig
from tunesweep.errors import BadConfig
from tunesweep.search.trials import Proposal, Trial, ranked


@dataclass(frozen=True)
class HalvingSearch:
    """Halves a population; `epochs` is what each of its points trains for in full."""

    settings: HalvingConfig
    population: tuple[tuple[str, ...], ...]  # words of each point
    epochs: tuple[int, ...]

    def __post_init__(self) -> None:
        eta, least = self.settings.eta, self.settings.min_epochs
        if len(self.population) < eta:
            raise BadConfig(
                f"search.eta={eta} keeps one of {eta} points, and there are {len(self.population)}: "
                "sweep more values, or choose a smaller search.eta"
            )
        if min(self.epochs) < eta * least:
            raise BadConfig(
                f"train.epochs={min(self.epochs)} leaves no rung below it with search.eta={eta} and "
                f"search.min_epochs={least}: give train.epochs of at least {eta * least}"
            )

    @property
    def rungs(self) -> int:
        """Return how many rungs there are: as many as points and epochs allow."""
        count, eta = 1, self.settings.eta
        while (
            len(self.population) >= eta**count and min(self.epochs) >= self.settings.min_epochs * eta**count
        ):
            count += 1
        return count

    def size(self, rung: int) -> int:
        """Return how many points reach a rung."""
        return len(self.population) // self._power(rung)

    def budget(self, rung: int, member: int) -> int:
        """Return the epochs of a point on a rung: the same share of what it trains for in full."""
        return self.epochs[member] // self._power(self.rungs - 1 - rung)

    @property
    def total(self) -> int:
        """Return how many runs there will be, where enough of each rung succeed."""
        return sum(self.size(rung) for rung in range(self.rungs))

    def propose(self, history: Sequence[Trial]) -> list[Proposal]:
        """Return the lowest rung, then the best of each rung for the next one; what failed ends there."""
        if not history:
            return [self._proposal(0, member) for member in range(len(self.population))]
        rung = max(trial.proposal.rung for trial in history)
        if rung + 1 == self.rungs:
            return []
        order = ranked(trial for trial in history if trial.proposal.rung == rung)
        kept = sorted(trial.proposal.member for trial in order[: self.size(rung + 1)])
        return [self._proposal(rung + 1, member) for member in kept]

    def accepts(self, known: Sequence[Proposal]) -> bool:
        """Whether these begin with the whole lowest rung and stay within what there is."""
        lowest = [proposal.member for proposal in known if proposal.rung == 0]
        return lowest == list(range(len(self.population))) and all(
            0 <= p.rung < self.rungs
            and 0 <= p.member < len(self.population)
            and p.words == self.population[p.member]
            for p in known
        )

    def describe(self) -> list[str]:
        """Return the rungs in words."""
        rungs = [f"{self.size(rung)} with {self._epochs(rung)}" for rung in range(self.rungs)]
        return [
            f"successive halving of {self.size(0)} points, chosen on select: {', then '.join(rungs)} epochs"
        ]

    def _power(self, exponent: int) -> int:
        return int(self.settings.eta**exponent)

    def _epochs(self, rung: int) -> str:
        found = sorted({self.budget(rung, member) for member in range(len(self.population))})
        return str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"

    def _proposal(self, rung: int, member: int) -> Proposal:
        return Proposal(self.population[member], rung=rung, member=member)
