"""What a reader of tuned rows must know: how they were chosen, and whether their chances were fair."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tunesweep.report.fields import number
from tunesweep.report.rows import Row
from tunesweep.report.series import without_common
from tunesweep.report.tuning import Trials, choose, on_select, trains, varied

NAMED = 5  # rows that a note names


def remarks(rows: Sequence[Row], trials: Sequence[Trials], names: Sequence[str]) -> Iterator[str]:
    """Say how rows were chosen, and warn where they had unequal chances."""
    if not names:
        return
    listed = ", ".join(names)
    made = [row["trials"] for row in rows if row["trials"] is not None and row["score"] is not None]
    if made:
        yield (
            f"Tuned: {listed}. Each row is the best of its trials on select (mean over seeds); "
            "its costs are those of this one alone."
        )
    if len(set(made)) > 1:
        yield (
            f"Warning: rows were tuned with {min(made)} to {max(made)} trials: who tries more finds more. "
            "Give all the same number, or compare them at the same number below."
        )
    for each in trials:
        seeds = {max(1, len(row.runs)) for row in each.tried}
        if len(seeds) > 1:
            yield (
                f"Warning: the trials of {each.name} have {min(seeds)} to {max(seeds)} seeds: "
                "the best of fewer seeds is more often luck."
            )
    if apart := sum(row["trials"] is None and trains(row) for row in rows):
        yield f"{apart} rows have no score on select and are not chosen among: they stand apart."
    yield from _edges(trials, names)


def _edges(trials: Sequence[Trials], names: Sequence[str]) -> Iterator[str]:
    """Warn where the best of three or more values is the last one: what lies beyond it was not tried."""
    for key in varied(trials, names):
        found: dict[str, list[str]] = {}
        for each in trials:
            if end := _edge(each, key):
                found.setdefault(end, []).append(each.name)
        for end, rows in found.items():
            listed = ", ".join(without_common(rows)[:NAMED])
            more = f" and {len(rows) - NAMED} more" if len(rows) > NAMED else ""
            beyond = "larger" if end == "largest" else "smaller"
            best = f"the {end} {key} tried is the best of {listed}{more}"
            yield f"Warning: {best}: a {beyond} one may be better."


def _edge(trials: Trials, key: str) -> str | None:
    """Return at which end of the values that were tried the chosen one is."""
    tried = [row for row in trials.tried if number(row.settings.get(key)) is not None]
    place = choose([on_select(row) for row in tried])
    values = sorted({row.settings[key] for row in tried})
    if place is None or len(values) < 3:
        return None
    return {values[0]: "smallest", values[-1]: "largest"}.get(tried[place].settings[key])
