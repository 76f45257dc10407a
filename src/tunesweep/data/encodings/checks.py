"""Options of an encoding come from YAML untyped: what a dataclass does not check by itself."""

from __future__ import annotations

import math

from tunesweep.errors import BadConfig


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
