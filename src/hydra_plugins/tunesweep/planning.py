"""The planning sweeper: resolves, freezes, deduplicates and skips before the first point."""

# No `from __future__ import annotations` here: Hydra's scan runs this file outside sys.modules, where
# a dataclass cannot look up annotations that are strings.
from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from tunesweep.door import register


@dataclass
class PlanningSweeperConf:
    """The sweeper has no options of its own: what it plans stands in the configuration."""

    _target_: str = "hydra_plugins.tunesweep.planning.PlanningSweeper"


class PlanningSweeper(Sweeper):
    """Plans a sweep and hands what is left of it to whichever launcher was chosen."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra hands over."""
        self.context, self.task, self.planned = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> Any:
        """Return one batch with a `JobReturn` for each planned point."""
        from hydra_plugins.tunesweep._sweep import sweep

        return sweep(self.context, self.task, self.planned, arguments)


register()
ConfigStore.instance().store(
    group="hydra/sweeper", name="planning", node=PlanningSweeperConf, provider="tunesweep"
)
