"""What the documentation shows is what committed records say: each page is made again, and is the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"


def test_every_maker_is_asked() -> None:
    makers = {path.stem.removeprefix("make_") for path in DOCS.glob("make_*.py")}
    assert makers == {*PAGES, *SLOW}


PAGES = ["configuration", "mutation", "performance", "picture", "readme", "recommend", "studies", "trec"]
SLOW = ["statistics"]  # draws thousands of samples


@pytest.mark.parametrize("page", [*PAGES, *(pytest.param(page, marks=pytest.mark.slow) for page in SLOW)])
def test_a_page_is_what_the_committed_records_say(page: str) -> None:
    command = [sys.executable, str(DOCS / f"make_{page}.py"), "--check"]
    done = subprocess.run(command, cwd=DOCS.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
