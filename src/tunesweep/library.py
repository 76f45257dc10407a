"""The package as a library: make a point, carry it out here, read a store, compare two runs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesweep.errors import StorageError

if TYPE_CHECKING:
    import pandas as pd

    from tunesweep.config import RunConfig
    from tunesweep.record import RunRecord

STORE = "multirun"
LAST = "last"


def compose(*overrides: str, config_dir: Path | str | None = None) -> RunConfig:
    """Return the point that `python train.py` would make of these words: "method=lora", "lora.r=4".

    `config_dir` is a folder of YAML files of one's own, as for `--config-dir`. Raises `BadConfig` for words
    that cannot be, and for those that make several points: a sweep is a command, or a loop over this.
    """
    from tunesweep.composing import compose

    return compose(overrides, config_dir)


def run(config: RunConfig) -> RunRecord:
    """Carry out one point in this process, and return its record, which its store then holds.

    What the store already holds is returned as it is, unless `runtime.force` is true; a point that was
    stopped goes on. What goes wrong while it runs is in the record (`failed`, `failure`). Raises `BadConfig`
    for a point that cannot be, before anything is written, and `StorageError` where nothing can be written.
    """
    from tunesweep.config import Point
    from tunesweep.sweep.plan import make_plan
    from tunesweep.sweep.points import Planned

    config = deepcopy(config)  # who a run is gets written into it, and the caller may change it and ask again
    told = config.runtime.point
    name = told.name or f"model={config.model.name} method={config.method.name}"
    config.runtime.point = Point(name=name, uses_lora=told.uses_lora, lr_by_hand=told.lr_by_hand)
    plan = make_plan([Planned((), config)])
    if plan.refused:  # shown, not repeated: its number would be as wrong again
        return _known(plan.refused[0].run_id, config.runtime.store)
    from tunesweep.point import run

    return run(config)


def _known(run_id: str, store: str) -> RunRecord:
    from tunesweep.store import Store

    record = Store(store).get(run_id)
    assert record is not None  # planning has read it
    return record


def load_runs(
    store: Path | str = STORE, *, sweep: str | None = None, where: str | Sequence[str] = ()
) -> pd.DataFrame:
    """Return one row a run, in the columns of `tunesweep report --json`; what was not measured is missing.

    `sweep` is the id of one, or "last"; without it every run of the store is there. `where` is KEY=VALUE,...
    as for `--where`, or several that must all hold. A file that cannot be read is left out, with a warning.
    Raises `StorageError` where there is no such store or sweep, `BadConfig` where a condition names nothing.
    """
    import pandas as pd

    from tunesweep.report import render
    from tunesweep.report.rows import Scope
    from tunesweep.store import Store

    kept, conditions = Store(store), (where,) if isinstance(where, str) else tuple(where)
    if not kept.names("records"):
        raise StorageError(f"{kept.root} holds no run yet: run one, or name another store by store=FOLDER")
    scope = Scope(None if sweep == LAST else sweep, sweep is None, conditions)
    rows = render.raw_rows(render.build(kept, scope))
    for problem in kept.problems:
        warnings.warn(problem, stacklevel=2)
    return pd.DataFrame(rows)


def compare(first: str, second: str, store: Path | str = STORE) -> dict[str, Any]:
    """Return whether two finished runs differ, under the names of `tunesweep compare --json`.

    Raises `BadConfig` for two that were not measured alike, or that are no finished runs of the store.
    """
    from tunesweep.report.compare import as_dict
    from tunesweep.serving.pair import compared
    from tunesweep.store import Store

    return as_dict(compared(Store(store), first, second))
