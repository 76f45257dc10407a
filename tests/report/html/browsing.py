"""What a reader finds on an open page; the name of a run that is HTML."""

from __future__ import annotations

from typing import Any

NAME = "<b onclick=alert(1)>bold</b><img src=x onerror=alert(2)>"


def find(page, selector: str) -> list[Any]:
    return page.find_elements("css selector", selector)


def column(page, place: int) -> list[str]:
    """Return a column of the first table, of the rows that are shown, in their order."""
    script = (
        "return [...document.querySelectorAll('#b1-table tbody tr:not([hidden])')]"
        ".map(row => row.cells[arguments[0]].textContent)"
    )
    return page.execute_script(script, place)


def header(page, name: str) -> tuple[int, Any]:
    heads = find(page, "#b1-table thead th")
    place = next(place for place, head in enumerate(heads) if " ".join(head.text.split()).startswith(name))
    return place, heads[place]
