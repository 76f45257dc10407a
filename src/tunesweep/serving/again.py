"""Several runs and exports scored again, one after the other: a sentence each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tunesweep.errors import TunesweepError
from tunesweep.serving.merge_score import rescore_folder
from tunesweep.serving.rescore import rescore
from tunesweep.store import NAME, Store
from tunesweep.verify import chosen


def rescore_all(
    store: Store, names: Sequence[str], everything: bool, device: str
) -> Iterator[tuple[str, bool]]:
    """Yield a sentence for each run or exported folder, and whether it tells of a problem."""
    folders = [Path(name) for name in names if not NAME.fullmatch(name) or Path(name).is_dir()]
    runs = [name for name in names if Path(name) not in folders]
    for folder in folders:
        try:
            for found in rescore_folder(store, folder, device):
                yield found.sentence(), False
        except TunesweepError as error:
            yield str(error), True
    for record in chosen(store, runs, everything) if runs or not folders else []:
        try:
            yield rescore(store, record, device).sentence(), False
        except TunesweepError as error:
            yield str(error), True
