"""All checks in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from tunesweep.doctor import access, machine, packages, places
from tunesweep.doctor.finding import FAILS, Finding
from tunesweep.doctor.probe import Probe

Check = Callable[[], Finding | Iterable[Finding]]


def examine(store: Path) -> Iterator[Finding]:
    """Yield what each check finds; torch is asked in a process of its own, begun first and heard last."""
    with Probe() as probe:
        quick: tuple[tuple[str, Check], ...] = (
            ("python", packages.python),
            ("packages", packages.packages),
            ("launchers", packages.launchers),
            ("store", partial(places.store, store)),
            ("cache", partial(places.cache, store)),
            ("disk", partial(places.disk, store)),
            ("inputs", partial(access.inputs, store)),
            ("wandb", access.wandb),
            ("hub", access.hub),
        )
        for name, check in quick:
            yield from _asked(name, check)
        answer = probe.answer()
    for name, of_torch in (
        ("device", machine.device),
        ("bf16", machine.bf16),
        ("bitsandbytes", machine.bitsandbytes),
    ):
        yield from _asked(name, partial(of_torch, answer))


def _asked(name: str, check: Check) -> Iterator[Finding]:
    """Ask; where a package that the check itself needs is missing, say so instead."""
    try:
        found = check()
        yield from [found] if isinstance(found, Finding) else list(found)
    except ImportError as error:
        yield Finding(name, FAILS, f"it cannot be asked ({error})", machine.INSTALL)
