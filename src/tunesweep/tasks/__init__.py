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
        kind: type[Task] = WrittenClasses if config.readout.name == "generate" else Classification
    else:
        kind = {"language_modeling": LanguageModeling, "instruction": Instruction}[config.dataset.task]
    return kind(config, data)
