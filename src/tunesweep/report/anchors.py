"""Published numbers beside rows of the same configuration: does this installation reproduce them? Pure."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tunesweep.report.rows import Row


@dataclass(frozen=True)
class Anchor:
    """A published number: of which column, of which configuration, and where it stands."""

    column: str
    value: float
    source: str
    match: dict[str, Any]  # column or setting -> its value, or a list of those that will do
    spread: float | None = None
    remark: str | None = None

    def is_of(self, row: Row) -> bool:
        """Whether a row is of this very configuration."""
        return all(_agrees(row[key], wanted) for key, wanted in self.match.items())


def _agrees(value: Any, wanted: Any) -> bool:
    return value in wanted if isinstance(wanted, list) else bool(value == wanted)


@cache
def published() -> tuple[Anchor, ...]:
    """Return the numbers that come with the package."""
    text = Path(__file__).with_name("anchors.toml").read_text(encoding="utf-8")
    return tuple(Anchor(**found) for found in tomllib.loads(text)["anchor"])


def remarks(rows: Iterable[Row], anchors: Sequence[Anchor] | None = None) -> Iterator[str]:
    """Yield a sentence for each row of which a number was published."""
    known = published() if anchors is None else anchors
    for row in rows:
        for anchor in known:
            if row[anchor.column] is not None and anchor.is_of(row):
                yield f"{row['label'] or row['name']}: {_published(anchor, row)}: {_verdict(anchor, row)}."


def _published(anchor: Anchor, row: Row) -> str:
    """Return the number as papers print it, with its source."""
    name = "trainable parameters (adapter)" if anchor.column == "adapter" else str(row["metric"])
    factor, unit = (100.0, " %") if name == "accuracy" else (1.0, "")
    shown = f"{factor * anchor.value:,.10g}"
    spread = "" if anchor.spread is None else f" ± {factor * anchor.spread:.10g}"
    remark = "" if anchor.remark is None else f", {anchor.remark}"
    return f"published {name} {shown}{spread}{unit} ({anchor.source}{remark})"


def _verdict(anchor: Anchor, row: Row) -> str:
    if anchor.column != "score":
        found = row[anchor.column]
        return "this row has as many" if found == anchor.value else f"this row has {found:,.10g}"
    low, high = row["low"], row["high"]
    if low is None or high is None:
        return f"this row has {row['score']:.4g} and no interval"
    holds = "holds it" if low <= anchor.value <= high else "does not hold it"
    return f"this row's 95 % interval {holds}"
