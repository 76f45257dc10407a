"""Trials: what was proposed, and how well it did on the select split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Protocol

from tunesweep.record import RunRecord
from tunesweep.store import Store


class Score(NamedTuple):
    """How well a run did on the select split: greater is better; the loss tells equal ones apart."""

    value: float  # what the task monitors; of a loss, minus it
    minus_loss: float

    @classmethod
    def of(cls, scores: Mapping[str, Any], monitor: str) -> Score:
        """Read it off the scores of an epoch."""
        value = -scores["loss"] if monitor == "loss" else scores[monitor]
        return cls(float(value), -float(scores["loss"]))


@dataclass(frozen=True)
class Proposal:
    """What a strategy wants to be tried."""

    words: tuple[str, ...]  # what tells it apart, as overrides
    values: dict[str, Any] = field(default_factory=dict)  # of each dimension of the space
    rung: int = 0
    member: int = 0  # its place in the population that is halved

    def to_dict(self) -> dict[str, Any]:
        """Return it as the file of a sweep holds it."""
        return asdict(self) | {"words": list(self.words)}


@dataclass(frozen=True)
class Trial:
    """A proposal that has become a run; without a score it failed."""

    proposal: Proposal
    run_id: str
    score: Score | None


class Strategy(Protocol):
    """A way to search: proposals follow from the trials so far and from nothing else."""

    @property
    def total(self) -> int:
        """Return how many trials there will be, where none fails."""

    def propose(self, history: Sequence[Trial]) -> list[Proposal]:
        """Return what to try next, to be launched at once; nothing when the search has ended."""

    def accepts(self, known: Sequence[Proposal]) -> bool:
        """Whether these can be the first proposals of this search, as its file has them."""

    def describe(self) -> list[str]:
        """Return in words what is searched, and how."""


def proposal(data: object) -> Proposal | None:
    """Read a proposal from the file of a sweep, if that is what it is."""
    if not isinstance(data, dict):
        return None
    found = {key: data.get(key) for key in ("words", "values", "rung", "member")}
    kinds = {"words": list, "values": dict, "rung": int, "member": int}
    if not all(isinstance(found[key], kind) for key, kind in kinds.items()):
        return None
    return Proposal(tuple(map(str, found["words"])), found["values"], found["rung"], found["member"])  # type: ignore[arg-type]


def proposed(data: Mapping[str, Any] | None) -> list[tuple[Proposal, str]]:
    """Return the proposals and run ids in the file of a search; none where there is something else."""
    search = (data or {}).get("search")
    entries = search.get("trials") if isinstance(search, Mapping) else None
    listed = entries if isinstance(entries, list) else []
    found = [(proposal(entry), str(entry.get("run_id"))) for entry in listed if isinstance(entry, dict)]
    return [(known, run_id) for known, run_id in found if known is not None]


def history(trials: Sequence[tuple[Proposal, str]], store: Store) -> list[Trial]:
    """Return proposals with what the store says came of them."""
    return [Trial(known, run_id, score(store.get(run_id))) for known, run_id in trials]


def monitor(record: RunRecord) -> str:
    """Return what the run was watched by on the select split."""
    wanted = str((record.config.get("train") or {}).get("monitor", "auto"))
    if wanted != "auto":
        return wanted
    return "accuracy" if "accuracy" in record.metrics.get("select", {}) else "loss"


def score(record: RunRecord | None) -> Score | None:
    """Return how a run did on the select split, never on test; nothing where it failed or was stopped."""
    select = {} if record is None or not record.succeeded else record.metrics.get("select", {})
    if record is None or "loss" not in select:
        return None
    name = monitor(record)
    return Score.of(select, name) if name in select else None


def on_select(run_id: str, store: Store) -> float | None:
    """Return what a run was watched by on the select split, as it was measured."""
    found = selected(store.get(run_id))
    return None if found is None else found.shown


class Selected(NamedTuple):
    """How well a run did on the select split: to choose by, and as it was measured."""

    score: Score
    shown: float


def selected(record: RunRecord | None) -> Selected | None:
    """Return how a run did on the select split; nothing where it failed or trained nothing."""
    found = score(record)
    if record is None or found is None:
        return None
    return Selected(found, -found.value if monitor(record) == "loss" else found.value)


def ranked(trials: Iterable[Trial]) -> list[Trial]:
    """Return the trials that have a score, the best first; of equal ones the earlier."""
    scored = [trial for trial in trials if trial.score is not None]
    return sorted(scored, key=lambda trial: trial.score, reverse=True)  # type: ignore[arg-type, return-value]


def best(trials: Sequence[Trial]) -> Trial | None:
    """Return the best trial, of the highest rung in which one has a score."""
    top = max((trial.proposal.rung for trial in trials if trial.score is not None), default=None)
    return next(iter(ranked(trial for trial in trials if trial.proposal.rung == top)), None)
