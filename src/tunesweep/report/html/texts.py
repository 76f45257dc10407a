"""The texts of scored examples, read again from the files that runs read, where these are still the same."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from tunesweep.errors import TunesweepError
from tunesweep.record import RunRecord
from tunesweep.store import Store

LONGEST = 300  # characters of a text
LARGEST = 16e6  # bytes of files: more would make a report wait
Texts = Mapping[str, str]  # id of an example -> its text


class NoTexts(Exception):
    """Why there are none, in a few words."""


@dataclass
class Library:
    """What the reports of one page have read: each file at most once, whatever came of it."""

    store: Store
    _read: dict[tuple[str, ...], Texts | NoTexts] = field(default_factory=dict)

    def texts(self, record: RunRecord | None, ids: Iterable[str]) -> tuple[Texts, str]:
        """Return the texts of some examples that a run scored, or nothing and why."""
        try:
            found = self._of(record, {name.rpartition("-")[0] for name in ids})
        except NoTexts as reason:
            return {}, str(reason)
        return {name: _cut(found[name]) for name in ids if name in found}, ""

    def _of(self, record: RunRecord | None, splits: set[str]) -> Texts:
        if record is None:
            raise NoTexts("no record says where they are")
        config = _config(record)
        key = (str(record.data.get("fingerprint")), *sorted(splits))
        if key not in self._read:
            try:
                self._read[key] = _read(config, key[0], splits, self._cache())
            except NoTexts as reason:
                self._read[key] = reason
        found = self._read[key]
        if isinstance(found, NoTexts):
            raise found
        return found

    def _cache(self) -> Path:
        return Path(os.environ.get("TUNESWEEP_CACHE") or self.store.root / "cache")


def _config(record: RunRecord) -> Any:
    """Return the data set of a record as its dataclass."""
    from tunesweep.config import DatasetConfig
    from tunesweep.config.dataset import Limit

    told, known = record.config.get("dataset"), {item.name for item in fields(DatasetConfig)}
    try:
        parts = {key: value for key, value in dict(told or {}).items() if key in known}
        return DatasetConfig(**parts | {"limit": Limit(**parts.get("limit") or {})})
    except (TunesweepError, TypeError, ValueError, AttributeError):
        raise NoTexts("the record does not say where they are") from None


def _read(config: Any, fingerprint: str, splits: set[str], cache: Path) -> Texts:
    """Return all texts of these splits by the ids of their examples."""
    from tunesweep.data import location, readers

    if config.modality != "text":
        raise NoTexts("they are images")
    try:
        places = location.locations(config)
        _check_near(places)
        if location.fingerprint(config, cache) != fingerprint:
            raise NoTexts("the files have changed since")
        read = (readers.read(split, places[split], config) for split in sorted(splits))
        return {name: _text(each) for part in read for name, each in zip(part.ids, part.inputs, strict=True)}
    except NoTexts:
        raise
    except Exception as error:  # whatever a reader makes of a record by another hand: it costs no page
        raise NoTexts(f"the files cannot be read here ({error})") from None


def _check_near(places: Mapping[str, str]) -> None:
    """Refuse what is far or large."""
    from tunesweep.data.location import resolve

    if any(place.startswith("hub:") for place in places.values()):
        raise NoTexts("they are on the hub")
    size = sum(resolve(place, f"dataset.{split}").stat().st_size for split, place in places.items())
    if size > LARGEST:
        raise NoTexts(f"the files are large ({size / 1e6:,.0f} MB)")


def _text(inputs: Any) -> str:
    return inputs if isinstance(inputs, str) else " | ".join(map(str, inputs))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1].rstrip()}…"
