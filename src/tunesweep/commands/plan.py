"""`tunesweep plan` and `plan=true`: a plan as a table or as JSON, and nothing carried out."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tunesweep.errors import BadConfig
from tunesweep.report.columns import DASH, significant, size
from tunesweep.report.render import terminal
from tunesweep.sweep.plan import Plan
from tunesweep.sweep.preview import Previewed, expect, preview, totals
from tunesweep.sweep.sweep import announcement

if TYPE_CHECKING:
    from rich.table import Table

JSON = "json"
LEGEND = (
    "Memory is the peak above the loaded model, the longest examples taken to be as long as the encoding "
    "allows; minutes come from finished runs on this device. A dash: not known."
)


def plan(words: Sequence[str], as_json: bool) -> None:
    """Plan a command of `train.py` and show what it would do."""
    from tunesweep import train

    kept = [word for word in words if not word.startswith("plan=")]
    sys.argv = ["train.py", *kept, f"plan={JSON if as_json else 'true'}"]
    train.main()


def wanted(values: Sequence[Any]) -> bool | str:
    """Return what the command says of `plan`; refuse what is neither yes, no nor json."""
    for value in values:
        if value not in (True, False, JSON):
            raise BadConfig(f"plan={value} must be true, false or {JSON}")
    return next((value for value in values if value), False)


def show(found: Plan, form: bool | str, note: str = "") -> None:
    """Print a plan, and beside a table what is to be said of it."""
    previewed = preview(found, expect(found))
    configs = [point.config for point in found.todo]
    if form == JSON:
        points = [each.description() for each in previewed]
        whole = {"sweep_id": found.sweep_id, "points": points, "totals": totals(previewed)}
        print(json.dumps(whole | {"together": found.together().description(configs)}, indent=1))
        return
    console = terminal()
    _say(announcement(found))
    console.print(_table(previewed))
    together = found.together().sentences(configs)
    for line in (_sum(totals(previewed)), *together, LEGEND, note, *_problems(previewed)):
        if line:
            _say(line)


def _say(line: str) -> None:
    terminal().print(line, markup=False, highlight=False, soft_wrap=True)


def _table(found: Sequence[Previewed]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("point")
    table.add_column("status", no_wrap=True)
    for title in ("memory", "in all", "minutes", "on disk"):
        table.add_column(title, justify="right", no_wrap=True)
    for each in found:
        name, own = each.point.config.runtime.point.name, each.estimate
        sizes = [_size(own.memory_bytes), _size(own.peak_memory_bytes)]
        minutes = DASH if own.minutes is None else significant(own.minutes, 2)
        status = f"{each.status} (!)" if own.problems else each.status
        table.add_row(*map(Text, (name, status, *sizes, minutes, _size(own.disk_bytes))))
    return table


def _size(value: int | None) -> str:
    return DASH if value is None else size(value)


def _sum(found: dict[str, Any]) -> str:
    parts = [f"To do: {found['to_do']} runs"]
    if found["peak_memory_bytes"]:
        parts.append(f"at most {size(found['peak_memory_bytes'])} of memory")
    if found["minutes"] is not None:
        parts.append(f"{significant(found['minutes'], 2)} minutes{_without(found['unknown']['minutes'])}")
    if found["disk_bytes"] is not None:
        parts.append(f"{size(found['disk_bytes'])} on disk{_without(found['unknown']['disk_bytes'])}")
    return ", ".join(parts)


def _without(count: int) -> str:
    return f" ({count} runs not counted)" if count else ""


def _problems(found: Sequence[Previewed]) -> list[str]:
    return [f"! {e.point.config.runtime.point.name}: {text}" for e in found for text in e.estimate.problems]
