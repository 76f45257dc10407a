"""Write docs/configuration.md: every key of the schema, with its default and what the schema says of it.

python docs/make_configuration.py [--check]
"""

from __future__ import annotations

import argparse
import inspect
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from tunesweep.config import AppConfig, Point
from tunesweep.config.search import HalvingConfig, OptunaConfig

PAGE = Path(__file__).parent / "configuration.md"
HEAD = """# Every key

What `key=value` may set. `null` as a default means that nothing is set, `?` that the chosen option of the
group says it, `{}` and `[]` that it is empty. What an option sets stands in its file under `conf/`, and
`python train.py method=dora --cfg job` prints the configuration of a point. Keys that planning sets by itself
(`runtime.point`) are left out.

This page is made by `python docs/make_configuration.py` from the schema in `src/tunesweep/config/`.
"""
SEARCHES = {"search=optuna": OptunaConfig, "search=halving": HalvingConfig}
Row = tuple[str, str, str]


def main() -> None:
    """Write the page, or compare it with the schema."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument(
        "--check", action="store_true", help="write nothing, and fail if it is not up to date"
    )
    if not parser.parse_args().check:
        PAGE.write_text(page(), encoding="utf-8")
        print(f"written: {PAGE}")
    elif page() != PAGE.read_text(encoding="utf-8"):
        sys.exit(f"{PAGE} is not what the schema says: run docs/make_configuration.py")


def page() -> str:
    """Return the page as Markdown."""
    parts, own = [HEAD], []
    types = get_type_hints(AppConfig)
    for each in fields(AppConfig):
        kind = types[each.name]
        if is_dataclass(kind):
            parts.append(section(f"`{each.name}`", kind, list(rows(kind, f"{each.name}."))))
        else:
            own.append(row(each, "", comments(AppConfig)))
    parts.append(section("On their own", None, own))
    parts += [section(f"`{name}`", kind, list(rows(kind, "search."))) for name, kind in SEARCHES.items()]
    return "\n".join(parts)


def section(title: str, kind: Any, found: list[Row]) -> str:
    """Return a heading, what the class says of itself, and its table."""
    about = f"{(kind.__doc__ or '').strip().splitlines()[0]}\n\n" if kind else ""
    lines = "\n".join(f"| `{key}` | {default} | {meaning} |" for key, default, meaning in found)
    return f"## {title}\n\n{about}| key | default | |\n|---|---|---|\n{lines}\n"


def rows(kind: Any, prefix: str) -> Iterator[Row]:
    """Yield a row for each key of a class and of those within it."""
    types, said = get_type_hints(kind), comments(kind)
    for each in fields(kind):
        if types[each.name] is Point:
            continue
        if is_dataclass(types[each.name]):
            yield from rows(types[each.name], f"{prefix}{each.name}.")
        else:
            yield row(each, prefix, said)


def row(each: Field[Any], prefix: str, said: dict[str, str]) -> Row:
    """Return key, default and meaning of a field."""
    meaning = said.get(each.name, "").replace("|", "\\|")
    return f"{prefix}{each.name}", default_of(each), meaning


def default_of(each: Field[Any]) -> str:
    """Return a field's default as one writes it on the command line."""
    value = each.default if each.default is not MISSING else each.default_factory()  # type: ignore[misc]
    if value is None:
        return "`null`"
    text = str(value).lower() if isinstance(value, bool) else str(value).replace("\n", "\\n")
    return {"???": "?"}.get(text, f"`{text}`")


def comments(kind: Any) -> dict[str, str]:
    """Return what stands beside or above each field in the source, those of base classes included."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if is_dataclass(base):
            found |= _comments_of(inspect.getsource(base))
    return found


def _comments_of(source: str) -> dict[str, str]:
    found, name, above = {}, "", ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        line = token.line.strip()
        if token.type == tokenize.COMMENT and line.startswith("#"):
            above = f"{above} {token.string.lstrip('# ')}".strip()
        elif token.type == tokenize.COMMENT and name:
            found[name] = token.string.lstrip("# ")
        elif token.type == tokenize.NAME and (match := re.match(r"(\w+): ", line)) and token.start[1] == 4:
            name = match[1]
            if above:
                found[name], above = above, ""
    return found


if __name__ == "__main__":
    main()
