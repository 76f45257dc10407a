"""What the documentation lists is there, what is there is listed, and links lead somewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from documented_pages import CONF, PAGES, README, ROOT, blocks
from tunesweep.build import build
from tunesweep.store import SUFFIXES

# What each group of conf/ may be swept over; the rest of conf/ is Hydra's own.
GROUPS = sorted(p.name for p in CONF.iterdir() if p.is_dir() and p.name != "hydra")
# Written by docs/make_studies.py from runs that take longer than the tests: of each experiment that says what
# its table shows.
STUDIES = {
    f"docs/studies/{path.stem}.md"
    for path in CONF.glob("experiment/*.yaml")
    if "report" in yaml.safe_load(path.read_text())
}


@pytest.mark.parametrize("group", GROUPS)
def test_readme_lists_every_member_of_a_group_and_no_other(group: str) -> None:
    row = next(line for line in README.splitlines() if line.startswith(f"| `{group}` |"))
    listed = set(re.findall(r"`([a-z0-9_]+)`", row)) - {group}
    assert listed == {path.stem for path in (CONF / group).glob("*.yaml")}


def test_readme_lists_every_make_target_with_its_line_of_help() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z-]+):.*?## ", makefile, re.MULTILINE)
    listed = re.findall(r"^\| `make ([a-z-]+)`", README, re.MULTILINE)
    assert sorted(listed) == sorted(targets)


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[page]):
        if re.match(r"https?:|mailto:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), f"{page} links to {target}"
        if anchor:
            titles = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", t).strip().lower().replace(" ", "-") for t in titles}


def test_readme_lists_every_folder_of_a_store() -> None:
    rows = [line for line in README.splitlines() if line.startswith("| `")]
    listed = {name for row in rows for name in re.findall(r"`(\w+)/`", row)}
    assert listed == {*SUFFIXES, "cache", "wandb", "hydra"}


def test_every_experiment_shown_begins_as_hydra_wants_it() -> None:
    shown = [block for _, block in blocks("yaml") if "blocks:" in block]
    files = [path.read_text() for path in (CONF / "experiment").glob("*.yaml")]
    assert shown
    assert all(text.startswith("# @package _global_\n") for text in [*shown, *files])


def test_the_tree_in_the_readme_names_real_paths() -> None:
    tree = next(block for _, block in blocks("text") if "src/tunesweep/" in block)
    parent = ""
    for line in tree.splitlines():
        name = line.split()[0]
        parent = "" if not line.startswith(" ") else parent
        assert (ROOT / parent / name).exists(), f"{parent}{name}"
        parent = name if not line.startswith(" ") else parent


def test_the_tree_leaves_out_no_folder_of_the_source() -> None:
    tree = next(block for _, block in blocks("text") if "src/tunesweep/" in block)
    folders = {
        path.name for path in (ROOT / "src" / "tunesweep").iterdir() if (path / "__init__.py").exists()
    }
    assert folders <= set(re.findall(r"^  (\w+)/", tree, re.MULTILINE))


def test_encodings_page_shows_what_the_encodings_write() -> None:
    text = PAGES["docs/encodings.md"]
    picture = np.array(json.loads(re.search(r"`(\[\[0, 16.*?\]\])`", text)[1]))  # type: ignore[index]
    rows = dict(re.findall(r"^\| `(\w+_(?:flat|rows))` \| `(.*)` \|$", text, re.MULTILINE))
    assert len(rows) == 8
    for name, shown in rows.items():
        spec = yaml.safe_load((CONF / "encoding" / f"{name}.yaml").read_text())
        assert shown.replace("\\|", "|") == build(spec | {"high": 16.0}).encode(picture)


def test_no_page_names_what_is_not_for_readers() -> None:
    for page, text in PAGES.items():
        assert not re.search(r"/root/|/home/|\bTODO\b", text), page


def test_the_site_lists_every_page() -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    sections = [next(iter(part.values())) if isinstance(part, dict) else [part] for part in nav]
    listed = sorted(f"docs/{page}" for section in sections for page in section)
    assert listed == sorted(p for p in PAGES if p.startswith("docs/"))


def test_every_study_is_introduced() -> None:
    """By name, and by a link to each page that there is."""
    page = PAGES["docs/studies/index.md"]
    assert len(STUDIES) == 6
    assert all(f"`{Path(study).stem}`" in page for study in STUDIES)
    linked = {f"docs/studies/{name}" for name in re.findall(r"\((\w+\.md)\)", page)}
    assert linked == {name for name in PAGES if name.startswith("docs/studies/")} - {"docs/studies/index.md"}
