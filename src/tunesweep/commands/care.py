"""`tunesweep gc`, `import` and `extend`: the care of a store."""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tunesweep.commands.shared import MULTIRUN, JsonOption, StoreOption, emit, one_sentence, tell
from tunesweep.report.columns import size
from tunesweep.store import Store


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; change nothing.")] = False,
    checkpoints: Annotated[
        bool, typer.Option("--checkpoints", help="Also those from which interrupted runs would go on.")
    ] = False,
    keep: Annotated[
        str | None,
        typer.Option(help="metrics or adapter: what finished runs keep from now on; as they are if absent."),
    ] = None,
    store: StoreOption = MULTIRUN,
    as_json: JsonOption = False,
) -> None:
    """Remove what no finished run needs: remains of dead attempts, broken records, weights without one."""
    from tunesweep.care.collect import collect

    with one_sentence():
        done = collect(Store(store), dry_run=dry_run, checkpoints=checkpoints, keep=keep)
    if as_json:
        emit(asdict(done) | {"size": done.size, "dry_run": dry_run})
    else:
        for item in done.removed:
            typer.echo(f"{item.path}: {size(item.size)}, {item.why}")
        for note in done.notes:
            typer.echo(note)
        verb = "would be removed" if dry_run else "removed"
        typer.echo(f"{size(done.size)} ({done.size:,} bytes) in {len(done.removed)} files and folders {verb}")
    tell(done.problems)


def import_(
    other: Annotated[Path, typer.Argument(metavar="OTHER_STORE", help="Folder of the runs to take over.")],
    store: StoreOption = MULTIRUN,
    as_json: JsonOption = False,
) -> None:
    """Take over the runs and sweeps of another store; a result beats a failure, ours stay otherwise."""
    from tunesweep.care.merge import merge

    with one_sentence():
        done = merge(Store(store), other)
    if as_json:
        emit(asdict(done))
    else:
        for note in done.notes:
            typer.echo(note)
        typer.echo(
            f"{len(done.runs)} runs and {len(done.sweeps)} sweeps imported, "
            f"{done.known} runs were here already, {len(done.problems)} items refused"
        )
    tell(done.problems)


def extend(
    sweep: Annotated[str, typer.Argument(help="Id of a sweep.")],
    words: Annotated[
        list[str],
        typer.Argument(metavar="KEY=VALUES", help="New values of one axis: seed=3,4; and runtime.*"),
    ],
    config_dir: Annotated[
        Path | None, typer.Option(help="Folder of one's own YAML files, as given before.")
    ] = None,
    store: StoreOption = MULTIRUN,
) -> None:
    """Run a sweep's command with more values of an axis; its members stay as they were frozen."""
    from tunesweep.care.extend import command

    with one_sentence():
        found = command(Store(store), sweep, words)
    typer.echo(f"train.py -m {shlex.join(found)}", err=True)
    from tunesweep import train

    place = [] if config_dir is None else ["--config-dir", str(config_dir)]
    sys.argv = ["train.py", *place, *found]
    train.main()
