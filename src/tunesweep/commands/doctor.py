"""`tunesweep doctor`: whether this installation can carry out the main sweep."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from tunesweep.commands.shared import MULTIRUN, JsonOption, StoreOption


def doctor(
    as_json: JsonOption = False,
    store: StoreOption = MULTIRUN,
) -> None:
    """Check the installation, a line each: ok, note, or fails where it would stop the main sweep."""
    from tunesweep.doctor.examine import examine
    from tunesweep.doctor.finding import FAILS

    found = []
    for finding in examine(store):
        found.append(finding)
        if not as_json:
            typer.echo(finding.line())
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in found], indent=1))
    if any(finding.status == FAILS for finding in found):
        raise typer.Exit(1)
