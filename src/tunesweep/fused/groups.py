"""Which points of a sweep are trained together, and why the others are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tunesweep.capabilities import learns_from_features
from tunesweep.config import RunConfig
from tunesweep.fused import exits
from tunesweep.fused.rules import HEAVIEST, NEVER, common, why_alone
from tunesweep.hardware import free_memory, on_gpu

AUTO = 8  # runs in a group where nothing else is asked for
SHARE = 0.5  # of the free memory that the groups of all workers there may take above what is loaded
NOBODY = "no other point that is to do has its model, data, readout and budget"
REST = "the groups of its kind are as large as runtime.fuse allows"
TOO_LARGE = "two of its size need more memory than is free"


@dataclass
class Division:
    """Groups of two points or more, by their places, and the reason for each place that is in none."""

    groups: list[list[int]] = field(default_factory=list)
    alone: dict[int, str] = field(default_factory=dict)

    def jobs(self, count: int) -> list[list[int]]:
        """Return what is carried out at once, in the order of the first point of each."""
        grouped = {place for group in self.groups for place in group}
        singles = [[place] for place in range(count) if place not in grouped]
        return sorted([*self.groups, *singles])

    def sentences(self, configs: Sequence[RunConfig]) -> list[str]:
        """Return, a line each, what goes together and what does not, by name; not what nobody asked for."""
        found = self.description(configs)
        asked = {reason: names for reason, names in found["alone"].items() if reason != NEVER}
        lines = [
            f"Together in one pass: {'; '.join(names)}.{_exits([configs[place] for place in group])}"
            for names, group in zip(found["groups"], self.groups, strict=True)
        ]
        return lines + [f"Alone, as {reason}: {'; '.join(names)}." for reason, names in asked.items()]

    def description(self, configs: Sequence[RunConfig]) -> dict[str, Any]:
        """Return it as plain values: names in groups, and names by the reason why they are in none."""
        names = [config.runtime.point.name for config in configs]
        alone: dict[str, list[str]] = {}
        for place, reason in self.alone.items():
            alone.setdefault(reason, []).append(names[place])
        return {"groups": [[names[place] for place in group] for group in self.groups], "alone": alone}


def _exits(group: Sequence[RunConfig]) -> str:
    """Say after which epochs how many of a group go on, where that was asked for."""
    eta, epochs = group[0].runtime.early_exit, int(group[0].train.epochs or 1)
    if eta is None:
        return ""
    found = [f"{kept} after epoch {epoch}" for epoch, kept in exits.rungs(len(group), epochs, eta).items()]
    if not found:
        few, what = (epochs, "epochs") if epochs < eta else (len(group), "runs")
        return f" Nobody leaves early: runtime.early_exit={eta} takes {eta} {what} or more, not {few}."
    return f" Of {len(group)} go on: {', '.join(found)} of {epochs}."


def divide(configs: Sequence[RunConfig], workers: int = 1) -> Division:
    """Return groups as large as is allowed, and small enough that every worker has one."""
    found = Division()
    alike: dict[str, list[int]] = {}
    for place, config in enumerate(configs):
        if reason := why_alone(config):
            found.alone[place] = reason
        else:
            alike.setdefault(common(config), []).append(place)
    parts = [part for places in alike.values() for part in _apart(places, configs)]
    limits = [_limit([configs[place] for place in part], workers) for part in parts]
    counts = _counts([len(part) for part in parts], limits, workers - len(found.alone))
    for part, limit, count in zip(parts, limits, counts, strict=True):
        _cut(found, part, configs, limit, count)
    return found


def _apart(places: list[int], configs: Sequence[RunConfig]) -> list[list[int]]:
    """Let heads alone be trained by themselves where there are several: they read every example once."""
    heads = [place for place in places if learns_from_features(configs[place])]
    others = [place for place in places if place not in heads]
    return [heads, others] if len(heads) > 1 and len(others) > 1 else [places]


def _counts(sizes: Sequence[int], limits: Sequence[int], workers: int) -> list[int]:
    """Return into how many groups each part is cut: no more than memory asks for and workers take."""
    counts = [-(-size // limit) for size, limit in zip(sizes, limits, strict=True)]
    while sum(counts) < workers:
        largest = max(range(len(sizes)), key=lambda part: sizes[part] / counts[part], default=None)
        if largest is None or sizes[largest] < 2 * (counts[largest] + 1):
            break  # a group has two runs or more
        counts[largest] += 1
    return counts


def _cut(found: Division, places: list[int], configs: Sequence[RunConfig], limit: int, count: int) -> None:
    """Cut what could all go together; those that see the same data in the same order stand together."""
    order = sorted(places, key=lambda place: (configs[place].seeds.data, place))
    for group in _even(order, count):
        if len(group) > 1:
            found.groups.append(sorted(group))
        else:
            found.alone[group[0]] = TOO_LARGE if limit == 1 else REST if len(places) > 1 else NOBODY


def _even(places: list[int], count: int) -> list[list[int]]:
    """Return so many parts of nearly equal length."""
    edges = [round(number * len(places) / count) for number in range(count + 1)]
    return [places[start:end] for start, end in pairwise(edges)]


def _limit(configs: Sequence[RunConfig], workers: int) -> int:
    """Return how many runs may go together: what was asked for, and as memory allows."""
    runtime = configs[0].runtime
    asked = AUTO if runtime.fuse == "auto" else int(runtime.fuse)
    free, share = free_memory(runtime.device), SHARE if on_gpu(runtime.device) else SHARE / workers
    needed = max((config.runtime.point.memory_bytes or 0 for config in configs), default=0)
    if not (free and needed):
        return asked
    own = needed
    if not on_gpu(runtime.device):
        own = max(1, min(needed, max(config.runtime.point.own_bytes or 0 for config in configs)))
    return max(1, min(asked, _that_fit(int(share * free), needed, own)))


def _that_fit(room: int, needed: int, own: int) -> int:
    """Return how many runs fit: each has bytes of its own, and a pass holds no more than two of the rest."""
    if own == needed or room < HEAVIEST * needed:
        return room // needed
    return (room - HEAVIEST * (needed - own)) // own
