"""A block's label in `model.init_from` becomes the id of a run, before whoever starts from it gets one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tunesweep import identity
from tunesweep.errors import BadConfig, suggest
from tunesweep.sweep.points import Planned

RUN_ID = re.compile(r"[0-9a-f]{16}")


def identify(points: Sequence[Planned]) -> None:
    """Give every point its identity, which holds that of the run it starts from."""
    labels = _Labels(points)
    for point in points:
        labels.identify(point)


class _Labels:
    def __init__(self, points: Sequence[Planned]) -> None:
        self.points = points
        self.known: identity.Known = {}
        self.begun: list[Planned] = []  # each starts from the one after it

    def identify(self, point: Planned) -> None:
        """Identify what a point starts from, then the point itself."""
        if any(point is other for other in self.begun):
            raise BadConfig(_circle([*self.begun[self.begun.index(point) :], point]))
        label = point.source
        if label is not None and not point.run_id:
            self.begun.append(point)
            point.config.model.init_from = self._source(point, label)
            self.begun.pop()
        identity.identify(point.config, self.known)

    def _source(self, point: Planned, label: str) -> str:
        """Return the run that a label, or a run id given by hand, stands for."""
        block = [p for p in self.points if p.experiment == point.experiment and label in p.labels]
        if block:
            return self._one(point, label, block).run_id
        if RUN_ID.fullmatch(label):
            return label
        labels = sorted({name for p in self.points if p.experiment == point.experiment for name in p.labels})
        options = (
            f"choose {suggest(label, labels)}" if labels else "no block here has a label, so give a run id"
        )
        raise BadConfig(
            f"model.init_from={label} is neither the id of a run nor the label of a block: {options}"
        )

    def _one(self, point: Planned, label: str, block: Sequence[Planned]) -> Planned:
        """Return the one run of a block; of several, that with the same seed."""
        for candidate in block:
            self.identify(candidate)
        runs = {candidate.run_id: candidate for candidate in block}
        if len(runs) == 1:
            return block[0]
        seed = point.config.seed
        alike = [candidate for candidate in runs.values() if candidate.config.seed == seed]
        if len(alike) != 1:
            raise BadConfig(
                f"model.init_from={label}: of the {len(runs)} runs of that block {len(alike)} have "
                f"seed={seed}, and exactly one must: give the block one point, or one for each seed"
            )
        return alike[0]


def _circle(points: Sequence[Planned]) -> str:
    names = " -> ".join(str(point.source) for point in points)
    return (
        f"model.init_from={names} goes round in a circle: let one of these blocks start from the base model"
    )
