"""A workspace and a report of W&B, built from the store: what is shown, not what is sent."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from tunesweep.config import WandbConfig
from tunesweep.errors import BadConfig
from tunesweep.report.rows import Scope
from tunesweep.report.series import Records
from tunesweep.report.table import Block, Table
from tunesweep.report.tracking import comparison, panels
from tunesweep.report.tracking.charts import Drawing, drawings
from tunesweep.report.tracking.runs import block_tag
from tunesweep.report.tracking.session import tag
from tunesweep.report.tracking.topics import Topic, topic
from tunesweep.store import Store

if TYPE_CHECKING:
    from wandb_workspaces.reports.v2 import Report
    from wandb_workspaces.workspaces import Workspace

BY_METHOD = "method.name"
RUNS = 100  # that a panel shows


def check_installed() -> None:
    """Refuse to begin without the package that builds workspaces and reports."""
    if find_spec("wandb_workspaces") is None:
        raise BadConfig("wandb-workspaces is not installed: pip install wandb-workspaces, then try again")


@dataclass(frozen=True)
class Subject:
    """What a dashboard is about: the table, what its blocks can show, and the pictures of its comparison."""

    table: Table
    topics: tuple[Topic | None, ...]
    drawings: tuple[Drawing, ...]
    command: str
    narrow: bool  # to the runs of one sweep

    @property
    def title(self) -> str:
        """Return what it is called in W&B."""
        return f"tunesweep sweep {self.table.name}" if self.narrow else "tunesweep all runs"


def subject(store: Store, scope: Scope) -> Subject:
    """Read the store."""
    from tunesweep.report.render import build

    table = build(store, scope)
    topics = tuple(topic(block, _records(store, block)) for block in table.blocks)
    command = (store.get_sweep(table.name) or {}).get("command") or ()
    words = shlex.join(map(str, command))
    return Subject(table, topics, tuple(drawings(store, table)), words, narrow=not scope.all)


def _records(store: Store, block: Block) -> Records:
    found = {run["run_id"]: store.get(run["run_id"]) for run in block.runs}
    return {name: record for name, record in found.items() if record is not None}


def workspace(subject: Subject, settings: WandbConfig) -> Workspace:
    """Return a workspace: a section for each block, and one for the comparison; runs grouped by method."""
    from wandb_workspaces import expr
    from wandb_workspaces import workspaces as ws

    known = [each for each in subject.topics if each is not None]
    sections = [ws.Section(name=each.title, panels=panels.of_topic(each), is_open=True) for each in known]
    shown = panels.of_comparison(len(subject.table.blocks), subject.drawings)
    sections.append(ws.Section(name="Comparison", panels=shown, is_open=True))
    # Curves are grouped as the runs are: those of different blocks do not mix.
    groups = ["comparable", BY_METHOD] if len(known) > 1 else [BY_METHOD]
    runs = ws.RunsetSettings(
        groupby=[expr.Config(name) for name in groups],
        filters=_of_sweep(subject),
        pinned_columns=[f"summary:{each.score}" for each in known],
    )
    return ws.Workspace(
        entity=settings.entity or "",
        project=settings.project,
        name=subject.title,
        sections=sections,
        settings=ws.WorkspaceSettings(max_runs=RUNS),
        runset_settings=runs,
    )


def _of_sweep(subject: Subject, *more: Any) -> Any:
    """Return a filter of the sweep's runs, by tag: a run is of one group, and may be of several sweeps."""
    from wandb_workspaces import expr

    sweep = [expr.Tags().isin([tag(f"sweep:{subject.table.name}")])] if subject.narrow else []
    return expr.And(*sweep, *more) if sweep or more else ""


def report(subject: Subject, settings: WandbConfig) -> Report:
    """Return a report: the table and its notes as text, and beside each block its runs, grouped by method."""
    from wandb_workspaces.reports import v2 as wr

    return wr.Report(
        entity=settings.entity or "",
        project=settings.project,
        title=subject.title,
        description="Written by tunesweep from its records.",
        blocks=list(_parts(subject, settings)),
        width="fluid",
    )


def _parts(subject: Subject, settings: WandbConfig) -> Iterator[Any]:
    from wandb_workspaces import expr
    from wandb_workspaces.reports import v2 as wr

    if subject.command:
        yield wr.MarkdownBlock(f"The command of this sweep: `{subject.command}`")
    for block, known in zip(subject.table.blocks, subject.topics, strict=True):
        yield wr.MarkdownBlock(_text(block))
        if known is not None:
            runs = _of_sweep(subject, expr.Tags().isin([block_tag(known.comparable)]))
            grouped = _runset(known.title, runs, settings, f"config.{BY_METHOD}")
            yield wr.PanelGrid(runsets=[grouped], panels=panels.of_topic(known))
    yield wr.MarkdownBlock("\n".join(["## Comparison", *(f"- {note}" for note in subject.table.notes)]))
    alone = _of_sweep(subject, expr.Metric("JobType") == comparison.JOB)
    shown = panels.of_comparison(len(subject.table.blocks), subject.drawings)
    yield wr.PanelGrid(runsets=[_runset("comparison", alone, settings)], panels=shown)


def _text(block: Block) -> str:
    """Return a block as the report's Markdown has it, without the heading of the page."""
    from tunesweep.report.markdown import markdown

    return markdown(Table("", [block], [])).partition("\n\n")[2]


def _runset(name: str, filters: Any, settings: WandbConfig, *groups: str) -> Any:
    """Return a set of runs; with an entity the library asks the service for the project."""
    from wandb_workspaces.reports import v2 as wr

    entity, project = settings.entity or "", settings.project
    return wr.Runset(entity=entity, project=project, name=name, filters=filters, groupby=list(groups))
