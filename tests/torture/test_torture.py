"""The torture in small: three points, two kills. `make torture` is the whole of it."""

from __future__ import annotations

from torture import Torture


def test_a_killed_sweep_ends_as_an_undisturbed_one(tmp_path):
    outcome = Torture(tmp_path, points=3, seed=1).run(kills=2)
    assert outcome.problems == []
    assert outcome.kills.total() >= 2
