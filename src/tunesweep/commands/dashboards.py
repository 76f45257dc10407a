"""`tunesweep wandb`: a finished store to W&B, with a workspace and a report built from it."""

from __future__ import annotations

from typing import Annotated

import typer

from tunesweep.commands.shared import MULTIRUN, StoreOption, one_sentence, tell
from tunesweep.config import WandbConfig
from tunesweep.errors import BadConfig, StorageError, TunesweepError
from tunesweep.report.rows import Scope
from tunesweep.store import Store


def upload(
    sweep: Annotated[str | None, typer.Argument(help="Id of a sweep; the last one if absent.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Every run of the store.")] = False,
    project: Annotated[str, typer.Option(help="Project of W&B.")] = "tunesweep",
    entity: Annotated[str | None, typer.Option(help="Account or team; the key's own if absent.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Write files, send nothing.")] = False,
    workspace: Annotated[bool, typer.Option("--workspace", help="Build a workspace, too.")] = False,
    report: Annotated[bool, typer.Option("--report", help="Build a report, too.")] = False,
    store: StoreOption = MULTIRUN,
) -> None:
    """Send finished runs and their comparison to W&B; sending again replaces, and doubles nothing."""
    from tunesweep.report.tracking import saving
    from tunesweep.report.tracking.dashboards import check_installed
    from tunesweep.report.tracking.session import check_access
    from tunesweep.report.tracking.upload import upload as send

    kinds = tuple(kind for kind, wanted in zip(saving.KINDS, (workspace, report), strict=True) if wanted)
    settings = WandbConfig("offline" if offline else "online", project, entity)
    with one_sentence():
        if kinds:
            check_installed()
        kept = Store(store)
        scope = _scope(kept, sweep, everything)
        check_access(settings)
        found = send(kept, scope, settings, typer.echo)
        absent = f"; {found.absent} points left no record" if found.absent else ""
        typer.echo(f"{found.sent} W&B runs {'written' if offline else 'sent'}{absent}")
        if offline:
            typer.echo(f"To send them: wandb sync {kept.root}/wandb/offline-run-*")
        problems = [*found.problems, *(_build(kept, scope, kinds, settings) if found.sent else ())]
    tell(problems)


def _build(store: Store, scope: Scope, kinds: tuple[str, ...], settings: WandbConfig) -> list[str]:
    """Build workspace and report, and return what went wrong."""
    from tunesweep.report.tracking import saving
    from tunesweep.report.tracking.dashboards import subject

    try:
        for sentence in saving.save(store, subject(store, scope), kinds, settings) if kinds else ():
            typer.echo(sentence)
    except TunesweepError as error:
        return [str(error)]
    return []


def _scope(store: Store, sweep: str | None, everything: bool) -> Scope:
    """Name the sweep now, so that one begun meanwhile is not taken for the last."""
    from tunesweep.report.rows import find_sweep

    if not everything:
        return Scope(find_sweep(store, sweep)[0])
    if sweep:
        raise BadConfig(f"--all and sweep {sweep} exclude each other: give one of them")
    if not store.names("records"):
        raise StorageError(
            f"{store.root} holds no run yet: run a sweep, or name another store with --store PATH"
        )
    return Scope(all=True)
