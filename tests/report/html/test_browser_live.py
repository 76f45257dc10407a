"""The page of a running sweep in a real browser: it is read anew and keeps its reader's place."""

from __future__ import annotations

import time
from typing import Any

import pytest
from browsing import column, find, header
from made_store import fill

from tunesweep.report import render
from tunesweep.report.html.page import Running
from tunesweep.report.html.page import page as text_of
from tunesweep.report.rows import Scope
from tunesweep.store import Store

pytestmark = pytest.mark.browser


def chosen(page) -> dict[str, Any]:
    """Return what a reader has chosen."""
    return {
        "tabs": [tab.text for tab in find(page, "[role=tab][aria-selected=true]")],
        "filter": find(page, "#b1-f")[0].get_attribute("value"),
        "rows": column(page, 0),
        "sorted": [head.get_attribute("aria-sort") for head in find(page, "th[aria-sort]")],
        "class": find(page, "#b2 select")[0].get_attribute("value"),
        "scroll": page.execute_script("return Math.round(scrollY)"),
    }


def test_a_page_that_is_read_anew_keeps_what_was_chosen(browser, tmp_path):
    store = fill(Store(tmp_path / "multirun"), 120)
    table, path = render.build(store, Scope()), tmp_path / "live.html"

    def write(running: Running | None) -> None:
        path.write_text(text_of(store, table, running))

    write(Running("Running: 1 of 2.", 1000))
    browser.get_log("browser")
    browser.get(path.as_uri())
    header(browser, "accuracy")[1].find_element("css selector", "button").click()
    find(browser, "#b1-f")[0].send_keys("lora")
    for block, name in (("b1", "Rank"), ("b2", "Classes")):
        next(tab for tab in find(browser, f"#{block} [role=tab]") if tab.text == name).click()
    find(browser, "#b2 select option")[2].click()
    browser.execute_script("scrollTo(0, 700)")
    before = chosen(browser)
    assert before["tabs"][:2] == ["Rank", "Classes"]
    assert (before["filter"], before["class"], before["scroll"]) == ("lora", "2", 700)
    write(Running("Running: 2 of 2.", 1000))
    browser.refresh()
    assert find(browser, ".running")[0].text.startswith("Running: 2 of 2.")
    assert chosen(browser) == before
    write(None)
    browser.refresh()
    assert not find(browser, ".running")
    after = chosen(browser)
    assert abs(after.pop("scroll") - before.pop("scroll")) < 100  # of the banner, which is gone
    assert after == before
    assert browser.get_log("browser") == []


def test_it_is_read_anew_by_itself_but_not_while_somebody_types(browser, tmp_path):
    store = fill(Store(tmp_path / "multirun"), 20)
    path = tmp_path / "live.html"
    path.write_text(text_of(store, render.build(store, Scope()), Running("Running.", 3)))
    browser.get(path.as_uri())
    find(browser, "#b1-f")[0].send_keys("lo")
    browser.execute_script("window.stays = true")
    time.sleep(7)
    assert browser.execute_script("return window.stays")
    browser.execute_script("document.activeElement.blur()")
    end = time.monotonic() + 20
    look = (
        "return [window.stays, document.getElementById('b1-f')?.value, !!document.querySelector('.running')]"
    )
    while browser.execute_script(look) != [None, "lo", True]:
        assert time.monotonic() < end
        time.sleep(0.2)


def test_the_last_page_is_not_read_anew(page):
    page.execute_script("window.stays = true")
    time.sleep(2.5)
    assert page.execute_script("return window.stays")
