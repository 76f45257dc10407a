"""The pages of the documentation, the blocks in them, and a folder with all that they name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import yaml

from documented_files import FILES

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"
README = (ROOT / "README.md").read_text()
PAGES = {str(p.relative_to(ROOT)): p.read_text() for p in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]}
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(language: str) -> Iterator[tuple[str, str]]:
    for page, text in PAGES.items():
        yield from ((page, found[2]) for found in FENCE.finditer(text) if found[1] == language)


def own_methods() -> dict[str, str]:
    """Return the methods that the documentation shows as examples, by name."""
    found = {yaml.safe_load(block).get("name"): block for _, block in blocks("yaml") if "\nbudget:" in block}
    assert set(found) == {"loha"}
    return found


def lay_out(folder: Path) -> None:
    """Put the files, the model and the methods that the documentation names into a folder."""
    for name, content in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    pd.read_csv(folder / "mine.csv").to_parquet(folder / "mine.parquet")
    (folder / "my_model").mkdir()
    sizes = {"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072}
    (folder / "my_model" / "config.json").write_text(json.dumps(sizes))
    (folder / "method").mkdir()
    for name, method in own_methods().items():
        (folder / "method" / f"{name}.yaml").write_text(method)
