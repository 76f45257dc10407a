"""In what rows of a block differ: settings that become columns, and those that nobody declared (R15)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tunesweep.report.fields import one_line
from tunesweep.report.rows import Row

# Settings that say nothing beyond their neighbours: shown only where they differ among rows that are
# otherwise alike, as `model.dtype` does when it is swept.
IMPLIED = ("model.", "method.", "encoding.", "readout.", "seeds.", "lora.target_modules")
# Shown already, or equal by content within a block, as paths to the data are.
PASSED = {"model.name", "method.name", "lora.r", "lora.alpha", "train.lr"}
PASSED |= {f"dataset.{key}" for key in ("train", "select", "test", "folder", "revision", "format")}


def factors(rows: list[Row]) -> list[str]:
    """Return the settings in which rows differ, except what the columns before them imply.

    A setting that a row does not have, such as `lora.dropout` of full fine-tuning, is no difference.
    """
    keys = [key for key in dict.fromkeys(key for row in rows for key in row.settings) if key not in PASSED]
    plain = [key for key in keys if key.endswith(".name") or not key.startswith(IMPLIED)]
    found = [key for key in plain if len(_values(rows, key)) > 1]
    for key in keys:
        if key not in plain and not _implied(rows, key, found):
            found.append(key)
    return found


def _values(rows: list[Row], key: str) -> set[str]:
    return {repr(row.settings[key]) for row in rows if key in row.settings}


def _implied(rows: list[Row], key: str, shown: list[str]) -> bool:
    """Whether rows alike in what is shown are alike in this setting too."""
    if len(_values(rows, key)) < 2:
        return True
    alike: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        known = tuple(repr(row[name]) for name in ("model", "method", "r", "alpha", "lr", *shown))
        alike.setdefault(known, []).append(row)
    return all(len(_values(members, key)) < 2 for members in alike.values())


def groups(rows: list[Row]) -> set[str]:
    """Return the names of config groups: `train` alone would not say `dataset.limit.train`."""
    return {key.split(".")[0] for row in rows for key in row.settings if "." in key}


def header(key: str, keys: list[str], taken: set[str]) -> str:
    """Return the shortest end of a key that names it alone; a group is called by its own name."""
    parts = key.removesuffix(".name").split(".")
    if key.endswith(".name") and len(parts) == 1:
        return parts[0]
    for length in range(1, len(parts) + 1):
        header = ".".join(parts[-length:])
        alone = sum(f".{other}".endswith(f".{header}") for other in keys) <= 1
        if alone and header not in taken:
            return header
    return key


def surrounding(rows: list[Row]) -> list[str]:
    """Return in which parts of device and software rows differ."""
    keys = dict.fromkeys(key for row in rows for key in row.surroundings)
    return [
        key for key in keys if len({row.surroundings[key] for row in rows if key in row.surroundings}) > 1
    ]


# What may explain a difference between rows without being what they are about: budget, lengths, amounts.
BUDGET = ("train.", "encoding.max_", "dataset.limit.train", "dataset.limit.select", "seeds.split")
COST = ("executor", "device", "threads", "strategy", "devices")  # minutes and memory compare within these


def remarks(rows: list[Row], declared: Iterable[str]) -> Iterator[str]:
    """Warn of what differs and was not declared, and say where costs do not compare.

    `declared` are keys or groups: those of `report.factors`, and those of the command.
    """
    scored = [row for row in rows if row["score"] is not None]
    known = tuple(declared)
    for key in dict.fromkeys(key for row in scored for key in row.settings):
        if key.startswith(BUDGET) and key != "train.lr" and not _is_declared(key, known):
            yield from _undeclared(
                key, sorted({_shown(row.settings[key]) for row in scored if key in row.settings})
            )
    for key in surrounding(scored):
        if key not in COST:
            yield from _undeclared(
                key, sorted({row.surroundings[key] for row in scored if key in row.surroundings})
            )
    yield from costs(scored)


def costs(rows: list[Row]) -> Iterator[str]:
    """Say where the costs of rows do not compare."""
    for key in COST:
        found = sorted({str(row[key]) for row in rows if row[key] is not None})
        if len(found) > 1:
            yield f"Minutes and memory compare only between rows of one {key}: here are {', '.join(found)}."


def _is_declared(key: str, declared: tuple[str, ...]) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in declared)


def _undeclared(key: str, values: list[str]) -> Iterator[str]:
    if len(values) > 1:
        rest = "it may be why rows differ. Name it in report.factors if it is what the rows are about."
        yield f"Warning: {key} differs ({', '.join(values)}) and was not declared: {rest}"


def _shown(value: object) -> str:
    return one_line(f"{value:g}" if isinstance(value, float) else value)
