"""Which examples of a global batch fall to which process."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import numpy as np

from tunesweep.data.batches import GlobalBatches


class RankBatches(GlobalBatches):
    """One process's part of every global batch, in as many micro-batches as the others have.

    A process that has no example left where another has one takes an example that does not count.
    """

    def __init__(self, whole: GlobalBatches, rank: int, processes: int) -> None:
        self.whole, self.rank, self.processes = whole, rank, processes
        part = ceil(whole.batch / processes)
        super().__init__(
            list(whole.lengths),
            whole.batch,
            min(whole.micro, part),
            whole.seed,
            whole.bucketing,
            terms=whole.terms,
        )
        self._counts: list[bool] = []

    def _rounds(self, size: int) -> int:
        """Return how many micro-batches each process makes of a global batch of this size."""
        return ceil(ceil(size / self.processes) / self.micro)

    @property
    def accumulation(self) -> int:
        """Micro-batches of a process in a whole global batch."""
        return self._rounds(self.batch)

    def __len__(self) -> int:
        full, rest = divmod(len(self.lengths), self.batch)
        return full * self.accumulation + self._rounds(rest)

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        self.epoch += 1
        groups = self._global(rng)
        self._totals = [int(self.terms[group].sum()) for group in groups]
        cut = [part for group in groups for part in self._parts(group)]
        self._counts = [bool(part) for part in cut]
        spare = int(groups[0][0])
        yield from (part or [spare] for part in cut)

    def _parts(self, group: np.ndarray) -> list[list[int]]:
        own = [int(index) for index in group[self.rank :: self.processes]]
        return [own[start * self.micro :][: self.micro] for start in range(self._rounds(len(group)))]

    def counts(self, position: int) -> bool:
        """Whether a micro-batch is part of a global batch, not one that only keeps step with the others."""
        return self._counts[position]

    def share(self, position: int) -> float:
        """Return the factor that makes the gradients' mean over processes that of the global batch."""
        return super().share(position) * self.processes * self.counts(position)
