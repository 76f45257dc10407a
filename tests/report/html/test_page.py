from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from lxml import html
from made_store import fill

from tunesweep.report import render
from tunesweep.report.html import page as pages
from tunesweep.report.rows import Scope

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.fixture
def made(store):
    return fill(store, 60, examples=50, odd_name=f"{EVIL} ")


def opened(store):
    return html.fromstring(pages.page(store, render.build(store, Scope())))


def test_a_block_has_a_table_with_all_its_columns_and_rows(made):
    table = render.build(made, Scope())
    page = opened(made)
    assert len(page.xpath("//section")) == len(table.blocks) == 3
    for block, section in zip(table.blocks, page.xpath("//section"), strict=True):
        assert section.xpath("h2")[0].text == block.title
        assert len(section.xpath(".//table[@class='rows']/tbody/tr")) == len(block.rows)
        headers = [
            " ".join(each.text.split()) for each in section.xpath(".//table[@class='rows']/thead//button")
        ]
        alike = section.xpath("string(p[@class='alike'])")
        for column in block.columns:
            assert column.header in headers or f"{column.header} " in alike
        notes = [each.text for each in section.xpath("ul[@class='notes']/li")]
        assert notes == block.notes


def test_it_says_whose_runs_it_shows(made):
    assert opened(made).xpath("string(//h1)") == "Sweep made"
    everything = render.build(made, Scope(all=True))
    assert html.fromstring(pages.page(made, everything)).xpath("string(//h1)") == "All runs"
    assert "train.py method=full,lora" in opened(made).xpath("string(//p[@class='command'])")


def test_cells_are_the_texts_of_the_other_forms_and_sort_by_the_numbers_behind_them(made):
    block, page = render.build(made, Scope()).blocks[0], opened(made)
    column = next(column for column in block.columns if column.key == "score")
    headers = [each.text for each in page.xpath("(//table[@class='rows'])[1]/thead//button")]
    place = headers.index(column.header)  # the first header is the number of the row, the first cell too
    rows = page.xpath("(//table[@class='rows'])[1]/tbody/tr")
    for row, line in zip(block.rows, rows, strict=True):
        cell = line[place]
        assert cell.text == column.cell(row)
        if row["score"] is None:
            assert "data-absent" in cell.attrib
        else:
            assert float(cell.get("data-v")) == row["score"]


def test_each_run_has_the_command_that_makes_it_again(made, monkeypatch):
    codes = [each.text for each in opened(made).xpath("//td[@class='runs']//code")]
    assert len(codes) == len(set(codes)) == 60
    assert codes[0] == f"tunesweep reproduce {0:016x} --store {made.root}"
    monkeypatch.chdir(made.root.parent)
    here = type(made)("multirun")
    assert opened(here).xpath("(//td[@class='runs']//code)[1]")[0].text == f"tunesweep reproduce {0:016x}"


def test_names_with_html_in_them_are_text(made):
    text = pages.page(made, render.build(made, Scope()))
    page = html.fromstring(text)
    assert "<script>alert(1)" not in text
    assert "<img" not in text
    assert EVIL in page.xpath("string((//td[@class='runs'])[1])")
    kinds = [script.get("type") for script in page.xpath("//script")]
    assert kinds == ["application/json"] * 2 + [None]  # a perplexity has no classes


def test_embedded_data_is_json_that_ends_no_script(made):
    found = [json.loads(each.text) for each in opened(made).xpath("//script[@type='application/json']")]
    assert EVIL in found[0][0]["name"]
    assert pages.embedded({"a": "</script>&"}) == '{"a":"\\u003c/script\\u003e\\u0026"}'


def test_the_page_needs_nothing_else(made):
    text = pages.page(made, render.build(made, Scope()))
    page = html.fromstring(text)
    assert not page.xpath("//link | //img | //iframe | //script[@src] | //@srcset")
    assert not re.findall(r"url\(|@import|https?://", text)
    assert all(link.startswith("#") for link in page.xpath("//@href"))
    policy = page.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")[0]
    assert policy.startswith("default-src 'none'; ")
    assert "script-src 'sha256-" in policy


def test_what_is_named_exists_and_is_named_once(made):
    page = opened(made)
    ids = page.xpath("//@id")
    assert len(ids) == len(set(ids))
    for name in ("aria-labelledby", "aria-describedby", "for", "data-table"):
        for value in page.xpath(f"//@{name}"):
            assert value in ids, f"{name}={value}"
    assert set(page.xpath("//svg[@role='img']/@aria-labelledby"))


def test_each_picture_has_its_numbers_as_a_table(made):
    for figure in opened(made).xpath("//figure"):
        points = figure.xpath("count(.//div[contains(@class,'picture')]//g[@class='point'])")
        assert points > 1
        assert points == len(figure.xpath(".//details//tbody/tr"))


def test_failures_have_their_message_and_log(made):
    found = opened(made).xpath("//ul[@class='failures']/li")
    assert len(found) == 2  # of sixty runs; the last one has no record
    assert "no room for <4 GB> of activations" in found[0].text_content()
    assert "OutOfMemoryError: <no room> & more" in found[0].xpath("string(.//pre)")


def test_provenance_counts_runs(made):
    facts = dict(
        tuple(cell.text_content() for cell in row)
        for row in opened(made).xpath("(//table[@class='facts'])[1]/tbody/tr")
    )
    runs = len(render.build(made, Scope()).blocks[0].runs)
    assert facts["device"] == f"made ({runs})"
    assert facts["git.commit"] == f"0123456789abcdef ({runs})"
    assert facts["torch"] == f"2.13.0 ({runs})"


def test_a_store_where_nothing_was_scored_has_a_page(store, fill, record, failed):
    fill(store, [failed(record("a"))])
    page = opened(store)
    assert len(page.xpath("//table[@class='rows']/tbody/tr[@class='failed']")) == 1
    assert not page.xpath("//figure")
    assert page.xpath("//ul[@class='failures']/li")


def test_records_with_odd_parts_have_a_page(store, fill, record):
    made = record("a")
    made.metrics["test"] |= {"confusion": [[1, 2], 3], "per_class": {"fresh": 4}}
    made.history, made.provenance = [3, {"epoch": "x"}], {"git": None}
    other = record("b", right=700)
    other.metrics["test"]["confusion"] = "none"
    page = opened(fill(store, [made, other]))
    assert not page.xpath("//div[@data-classes]")


def test_large_blocks_have_no_pictures_and_say_so(made, monkeypatch):
    monkeypatch.setattr(pages, "MOST", 9)
    monkeypatch.setattr(pages, "LINES", 5)
    section = opened(made).xpath("//section")[0]
    assert len(section.xpath(".//table[@class='rows']/tbody/tr")) == 5
    notes = section.xpath("string(ul[@class='notes'])")
    assert re.search(r"The first 5 of \d+ rows; the CSV beside this file has all\.", notes)
    assert "More than 9 rows have no pictures" in notes
    assert not section.xpath(".//figure")


def test_two_hundred_runs_make_a_small_page(store):
    fill(store, 200)
    assert len(pages.page(store, render.build(store, Scope()))) < 8e6


def test_a_page_loads_no_torch(made):
    code = (
        "import sys; from pathlib import Path; from tunesweep.report import render; "
        "from tunesweep.report.rows import Scope; from tunesweep.store import Store; "
        "render.report(Store(sys.argv[1]), Scope()); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, made.root], check=True, capture_output=True)
