"""One strategy per task; the learner is the same for all."""

from __future__ import annotations

from tunesweep.config import RunConfig
from tunesweep.data.module import DataModule
from tunesweep.tasks.task import Task


def build_task(config: RunConfig, data: DataModule) -> Task:
    """Return what a point's data set and readout ask for."""
    from tunesweep.tasks.classification import Classification
    from tunesweep.tasks.language_modeling import LanguageModeling
    from tunesweep.tasks.written import Instruction, WrittenClasses

    if config.dataset.task == "classification":
        written = config.readout.name == "generate"
        return WrittenClasses(config, data) if written else Classification(config, data)
    kinds: dict[str, type[Instruction] | type[LanguageModeling]] = {
        "language_modeling": LanguageModeling,
        "instruction": Instruction,
    }
    return kinds[config.dataset.task](config, data)
