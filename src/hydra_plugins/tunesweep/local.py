"""The local launcher: worker processes, one for each GPU or share of the cores, that stay warm."""

# No `from __future__ import annotations` here: see planning.py.
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class LocalLauncherConf:
    """The launcher has no options of its own: `runtime.workers` and `runtime.threads` are each point's."""

    _target_: str = "hydra_plugins.tunesweep.local.LocalLauncher"


class LocalLauncher(Launcher):
    """Carries jobs out in worker processes; as a context it keeps them from launch to launch."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra hands over."""
        self.context, self.task, self.planned = hydra_context, task_function, config
        self.pool: Any = None
        self.kept = False

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Return what came of each job, in the order given."""
        from hydra_plugins.tunesweep._launch import launch

        try:
            return launch(self, job_overrides, initial_job_idx)
        finally:
            if not self.kept:
                self.close()

    def __enter__(self) -> "LocalLauncher":
        self.kept = True
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the workers."""
        if self.pool is not None:
            self.pool.close()
            self.pool = None


ConfigStore.instance().store(
    group="hydra/launcher", name="local", node=LocalLauncherConf, provider="tunesweep"
)
