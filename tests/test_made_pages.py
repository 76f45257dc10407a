"""What the documentation shows is what committed records say: each page is made again, and is the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"


def test_every_maker_is_asked() -> None:
    makers = {path.stem.removeprefix("make_") for path in DOCS.glob("make_*.py")}
    assert makers == set(PAGES)


PAGES = [
    *("configuration", "mutation", "performance", "picture", "readme", "recommend", "statistics", "studies"),
    "trec",
]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_what_the_committed_records_say(page: str) -> None:
    command = [sys.executable, str(DOCS / f"make_{page}.py"), "--check"]
    done = subprocess.run(command, cwd=DOCS.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
