"""Rows that differ in their seed alone become one: a configuration, with the runs it was carried out in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace
from statistics import fmean
from typing import Any

from tunesweep.report.fields import SCORES
from tunesweep.report.rows import Row

SCORED = ("score", "before", "learned", "one_answer", *SCORES)  # what is a mean over seeds, of all of them
SEEDS = frozenset({"seed", "seeds.init", "seeds.data"})  # what may differ within a configuration


def merge(rows: list[Row]) -> list[Row]:
    """Return one row a configuration, in the order in which they first appear.

    Runs of one configuration and the same seeds differ in content, as of the files under a path: they stay
    apart.
    """
    groups: dict[tuple[Any, ...], list[Row]] = {}
    times: Counter[tuple[Any, ...]] = Counter()
    for row in rows:
        configuration_, seeds = configuration(row), _seeds(row)
        groups.setdefault((configuration_, times[configuration_, seeds]), []).append(row)
        times[configuration_, seeds] += 1
    return [_merged(members) if len(members) > 1 else members[0] for members in groups.values()]


def _seeds(row: Row) -> tuple[Any, ...]:
    return tuple(row.settings.get(key) for key in sorted(SEEDS))


def configuration(row: Row, apart: Iterable[str] = ()) -> tuple[Any, ...]:
    """Return all that makes a row comparable to itself under another seed: settings, software, device.

    `apart` are further settings that may differ, as those that were tuned.
    """
    keys = sorted(row.settings.keys() - SEEDS - set(apart))
    values = tuple(map(row.settings.__getitem__, keys))
    return tuple(keys), values, row["label"], frozenset(row.surroundings.items())


def _merged(runs: list[Row]) -> Row:
    """Return the row of several runs: numbers are means over those that have them."""
    scored = [run for run in runs if run["score"] is not None] or runs
    values = {key: _value(key, scored) for key in scored[0].values}
    values |= {
        "outcome": _outcome(runs),
        "name": name_without(runs[0]),
        "interval": None,
        "low": None,
        "high": None,
    }
    if partly_stopped(runs):
        values |= dict.fromkeys(SCORED)
    values |= {"seeds": sum(run["score"] is not None for run in runs), "failure": None, "failure_class": None}
    settings = {key: value for key, value in runs[0].settings.items() if key not in SEEDS}
    warnings = tuple(dict.fromkeys(warning for run in runs for warning in run.warnings))
    first = scored[0]
    return replace(first, values=values, settings=settings, warnings=warnings, runs=tuple(runs))


def partly_stopped(runs: Iterable[Row]) -> bool:
    """Whether some of a configuration's runs were stopped early and some not: these are the lucky seeds."""
    return len({run["status"] == "stopped" for run in runs}) > 1


def _value(key: str, runs: list[Row]) -> Any:
    """Return the mean of a number, and of anything else what the runs say, if they agree."""
    found = [value for run in runs if (value := run.values.get(key)) is not None]
    if not found or found.count(found[0]) == len(found):
        return found[0] if found else None
    kinds = {type(value) for value in found}
    if kinds <= {int, float}:
        return round(fmean(found)) if kinds == {int} else fmean(found)
    return None


def _outcome(runs: list[Row]) -> str:
    found = Counter(str(run["outcome"]) for run in runs)
    return runs[0]["outcome"] if len(found) == 1 else ", ".join(f"{n} {text}" for text, n in found.items())


def name_without(row: Row, keys: Collection[str] = SEEDS) -> str:
    """Return the name of a row, which is its options as typed, without some: by default its seed."""
    words = str(row["name"]).split(" ")
    return " ".join(word for word in words if word.partition("=")[0] not in keys)
