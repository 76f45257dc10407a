"""Options of an encoding come from YAML untyped: what a dataclass does not check by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence

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
