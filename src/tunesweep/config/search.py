"""The group `search`: how points are proposed. It is no part of a point, and so of no run's identity."""

from __future__ import annotations

from dataclasses import dataclass

from tunesweep.config.checks import positive
from tunesweep.errors import BadConfig, require

NONE = "none"


@dataclass
class OptunaConfig:
    """Trials are proposed one after another, by what came of those before."""

    name: str = "optuna"  # as its file
    trials: int = 20  # points in all
    sampler: str = "tpe"  # tpe, random
    startup: int = 5  # trials drawn at random before tpe goes by their scores
    batch: int = 1  # trials proposed and launched at once
    seed: int = 0  # of what is drawn

    def __post_init__(self) -> None:
        positive("search", trials=self.trials, startup=self.startup, batch=self.batch)
        require(self.sampler, ("tpe", "random"), "search.sampler")


@dataclass
class HalvingConfig:
    """All points begin with few epochs, and the best of each rung go on with more."""

    name: str = "halving"  # as its file
    eta: int = 3  # one of `eta` goes on
    min_epochs: int = 1  # of the lowest rung, at least
    population: int | None = None  # points drawn at random; null: every point of the command
    seed: int = 0  # of what is drawn

    def __post_init__(self) -> None:
        positive("search", min_epochs=self.min_epochs, population=self.population)
        if self.eta < 2:
            raise BadConfig(f"search.eta={self.eta} must be at least 2: one point of eta goes on")


SearchConfig = OptunaConfig | HalvingConfig
SEARCHES: dict[str, type[SearchConfig]] = {"optuna": OptunaConfig, "halving": HalvingConfig}
