"""A point of a sweep as planning holds it."""

from __future__ import annotations

from dataclasses import dataclass

from tunesweep.config import RunConfig


@dataclass(eq=False)
class Planned:
    """One point of a sweep: the overrides that made it, its configuration, and where it stands."""

    overrides: tuple[str, ...]
    config: RunConfig
    experiment: tuple[str, ...] = ()  # the words that chose it
    labels: frozenset[str] = frozenset()  # of its blocks in that experiment

    @property
    def run_id(self) -> str:
        """Return the identity that planning gave it."""
        return self.config.runtime.point.run_id

    @property
    def source(self) -> str | None:
        """Return the run that it starts from, if any: a run id once it is identified."""
        return self.config.model.init_from
