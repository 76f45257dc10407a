"""Options of an encoding come from YAML untyped: what a dataclass does not check by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tunesweep.config import DatasetConfig
from tunesweep.data.cutting import HOW
from tunesweep.errors import BadConfig, BadData, require


def check_count(key: str, value: object, largest: int | None = None) -> None:
    """Refuse what is not a whole number from one on, up to `largest`."""
    whole = value if isinstance(value, int) and not isinstance(value, bool) else 0
    if not 1 <= whole <= (largest or math.inf):
        upto = f" to {largest}" if largest else " or more"
        raise BadConfig(f"encoding.{key}={value} must be a whole number, 1{upto}")


def check_number(key: str, value: object) -> None:
    """Refuse what is not a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadConfig(f"encoding.{key}={value} must be a number")


def check_text(key: str, value: object, *, empty: bool = False) -> None:
    """Refuse what is not a string, and the empty one where it would glue things together."""
    if not isinstance(value, str):
        raise BadConfig(f"encoding.{key}={value} must be a text: put it in quotes")
    if not value and not empty:
        raise BadConfig(f"encoding.{key}='' would glue its neighbours together: give at least one character")


def check_cut(value: object) -> None:
    """Refuse what is no way of cutting."""
    require(value, HOW, "encoding.cut")


def check_template(value: object, fields: Sequence[str]) -> None:
    """Refuse a template in which a field is missing, or stands twice."""
    check_text("template", value)
    for field in fields:
        if str(value).count("{" + field + "}") != 1:
            raise BadConfig(f"encoding.template={value!r} must have {{{field}}} once")


def check_fields(name: str, example: object, fields: Sequence[str], remedy: str) -> None:
    """Refuse an example that is not made of these fields."""
    found = 1 if isinstance(example, str) else len(example) if isinstance(example, tuple) else 0
    if found != len(fields):
        wanted = ", ".join(fields)
        raise BadData(f"encoding={name} reads {wanted}, and an example has {found} texts: {remedy}")


def check_flag(key: str, value: object) -> None:
    """Refuse what is neither true nor false."""
    if not isinstance(value, bool):
        raise BadConfig(f"encoding.{key}={value} must be true or false")


def misfit(encoding: Any, dataset: DatasetConfig) -> str | None:
    """Return why an encoding of texts cannot read a data set's examples: known before any is read."""
    running = dataset.task == "language_modeling"
    if running != encoding.running:
        kind = "a running text" if running else "made of rows"
        remedy = "blocks" if running else "text, pair or preference"
        return (
            f"dataset={dataset.name} is {kind}, which encoding={encoding.name} does not read: "
            f"use encoding={remedy}"
        )
    columns = [dataset.text, dataset.text_pair, *(dataset.responses or ())]
    given = [str(column) for column in columns if column is not None]
    if encoding.required <= len(given) <= len(encoding.fields):
        return None
    return (
        f"encoding={encoding.name} reads {', '.join(encoding.fields)}, and dataset={dataset.name} gives "
        f"{', '.join(given)}: set dataset.text_pair or dataset.responses, or use encoding=text, pair or "
        "preference"
    )
