"""A search from its first trial to its table: a sweep whose members are written down as they are proposed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from tunesweep.config.search import SearchConfig
from tunesweep.search.trials import Proposal, Strategy, Trial, history, proposed
from tunesweep.sweep.plan import Plan
from tunesweep.sweep.points import Planned
from tunesweep.sweep.sweep import Sweep

NOT_STARTED = "not started"  # the class of what a sweep that was stopped left out


class SearchSweep(Sweep):
    """Keeps the trials of a search, in the order in which they were proposed."""

    def __init__(
        self,
        plan: Plan,
        command: Sequence[str],
        options: Mapping[str, object],
        settings: SearchConfig,
        strategy: Strategy,
    ) -> None:
        super().__init__(plan, command, options)
        self.settings, self.strategy = settings, strategy
        self.trials: list[tuple[Proposal, str]] = []

    def __enter__(self) -> SearchSweep:
        """Say what will be searched; the file is written with the first trials."""
        lines = self.strategy.describe()
        self.console.print(f"search {self.plan.sweep_id}: {', '.join(lines)}", soft_wrap=True, markup=False)
        return self

    def known(self) -> list[Proposal]:
        """Return what an earlier command proposed for this search (R1): its trials stay what they are."""
        trials = [known for known, _ in proposed(self.plan.store.get_sweep(self.plan.sweep_id))]
        return trials if self.strategy.accepts(trials) else []

    def add(self, proposals: Sequence[Proposal], batch: Plan) -> list[Planned]:
        """Take up trials and freeze them on disk; return those that have to be carried out."""
        plan = self.plan
        todo = [point for point in batch.todo if point.run_id not in plan.members]
        for number, point in enumerate(batch.points, start=len(plan.points) + 1):
            at = point.config.runtime.point
            at.sweep_id, at.index, at.total = plan.sweep_id, number, self.strategy.total
            plan.members.setdefault(point.run_id, point)
        for parts, added in ((plan.points, batch.points), (plan.todo, todo), (plan.finished, batch.finished)):
            parts.extend(added)
        plan.refused += batch.refused
        self.trials += [(p, point.run_id) for p, point in zip(proposals, batch.points, strict=True)]
        plan.store.put_sweep(plan.sweep_id, self._frozen())
        self.live.start()
        return todo

    def history(self) -> list[Trial]:
        """Return the trials so far with their scores."""
        return history(self.trials, self.plan.store)

    def next(self) -> list[Proposal]:
        """Return what to try next; nothing once too many failures in a row have stopped the sweep (R3)."""
        records = (self.plan.store.get(run_id) for _, run_id in self.trials)
        if any(record and (record.failure or {}).get("class") == NOT_STARTED for record in records):
            return []
        return self.strategy.propose(self.history())

    def _frozen(self) -> dict[str, object]:
        """Add to the file of a sweep what is searched and what was proposed so far."""
        trials = [known.to_dict() | {"run_id": run_id} for known, run_id in self.trials]
        words = self.strategy.describe()
        search = {"settings": asdict(self.settings), "total": self.strategy.total, "words": words}
        return super()._frozen() | {"search": search | {"trials": trials}}
