"""Early exit: after some epochs the worse runs of a group leave it, and the others go on as if alone.

Successive halving (Jamieson and Talwalkar 2016, arXiv:1502.07943) within one training: unlike in `search`, a
rung is no run of its own, so each run's schedule is that of its whole length throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tunesweep.errors import EarlyExit
from tunesweep.search.trials import Score

if TYPE_CHECKING:
    from tunesweep.fused.member import Member


def rungs(runs: int, epochs: int, eta: int) -> dict[int, int]:
    """Return after which epochs some leave, and how many then go on: one of `eta` each time, one at least.

    The last rung is one `eta`-th of all epochs, the one before an `eta`-th of that, as long as there are runs
    to leave and epochs to leave after.
    """
    count = 0
    while eta ** (count + 1) <= min(runs, epochs):
        count += 1
    return {epochs // eta ** (count - number): runs // eta ** (number + 1) for number in range(count)}


def leaving(standings: Sequence[Score], kept: int) -> list[int]:
    """Return the places of those that leave, the best first, where `kept` go on."""
    order = sorted(range(len(standings)), key=lambda place: standings[place], reverse=True)
    return order[kept:]


def let_go(members: Sequence[Member], epoch: int, epochs: int) -> None:
    """Let the worse runs of a group leave it, where an epoch, counted from 1, is a rung."""
    eta = members[0].work.config.runtime.early_exit
    kept = rungs(len(members), epochs, eta).get(epoch) if eta else None
    active = [member for member in members if member.active]
    if kept is None or len(active) <= kept:
        return
    monitor = members[0].work.task.monitor
    standings = [Score.of(member.course.history[-1], monitor) for member in active]
    for behind, place in enumerate(leaving(standings, kept), kept + 1):
        value = active[place].course.history[-1][monitor]
        active[place].leave(
            EarlyExit(
                f"after epoch {epoch} of {epochs}: select {monitor} {value:.3f}, place {behind} of "
                f"{len(active)}, of which {kept} went on (runtime.early_exit={eta})"
            )
        )
