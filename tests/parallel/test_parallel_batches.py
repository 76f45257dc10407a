"""Each process's part of a global batch, against the whole."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest

from tunesweep.data.batches import GlobalBatches
from tunesweep.parallel.batches import RankBatches


def whole(rows: int, batch: int, micro: int, terms: np.ndarray | None = None) -> GlobalBatches:
    lengths = list(np.random.default_rng(0).integers(3, 40, rows))
    return GlobalBatches(lengths, batch, micro, seed=5, bucketing=True, terms=terms)


@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize(
    ("rows", "batch", "micro"), [(64, 16, 16), (70, 16, 4), (33, 16, 8), (7, 3, 1), (5, 4, 4)]
)
def test_processes_share_the_same_global_batches_in_step(
    rows: int, batch: int, micro: int, processes: int
) -> None:
    alone = whole(rows, batch, batch)
    parts = [RankBatches(whole(rows, batch, micro), rank, processes) for rank in range(processes)]
    for _ in range(2):  # each epoch has an order of its own
        expected, found = list(alone), [list(part) for part in parts]
        assert len({len(part) for part in (*found, *parts)}) == 1
        assert all(len(micro_batch) <= micro for part in found for micro_batch in part)
        steps = parts[0].accumulation
        for number, group in enumerate(expected):
            places = range(number * steps, min((number + 1) * steps, len(found[0])))
            seen = [found[r][p] for r in range(processes) for p in places if parts[r].counts(p)]
            assert sorted(chain(*seen)) == sorted(group)


def test_shares_make_the_mean_over_processes_that_of_the_global_batch() -> None:
    rows, batch, micro, processes = 23, 8, 2, 2
    terms = np.random.default_rng(1).integers(1, 6, rows)
    losses = np.random.default_rng(2).random(rows) * terms
    parts = [RankBatches(whole(rows, batch, micro, terms), rank, processes) for rank in range(processes)]
    found, alone = [list(part) for part in parts], list(whole(rows, batch, batch, terms))
    steps = parts[0].accumulation
    for number, group in enumerate(alone):
        gradients = [
            sum(
                losses[part].sum() * parts[rank].share(place) / steps
                for place, part in enumerate(found[rank])
                if place // steps == number
            )
            for rank in range(processes)
        ]
        assert np.mean(gradients) == pytest.approx(losses[group].sum() / terms[group].sum())
