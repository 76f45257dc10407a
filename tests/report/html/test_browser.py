"""A report of 200 runs in a real browser, opened from disk: `make test-browser`."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from made_store import fill

from tunesweep.report import render
from tunesweep.report.html.page import Running
from tunesweep.report.html.page import page as text_of
from tunesweep.report.rows import Scope
from tunesweep.store import Store

pytestmark = pytest.mark.browser

NAME = "<b onclick=alert(1)>bold</b><img src=x onerror=alert(2)>"
SECONDS, BYTES = 3.0, 8e6
TABS = {
    "b1": ["Cost and quality", "Learning curves", "Rank", "Training", "Classes", "Disagreements"],
    "b2": ["Cost and quality", "Learning curves", "Rank", "Training", "Classes", "Disagreements"],
    "b3": ["Cost and quality", "Learning curves", "Rank", "Training"],
}


@pytest.fixture(scope="module")
def browser():
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1300,1000"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    store = fill(Store(tmp_path_factory.mktemp("made") / "multirun"), 200, odd_name=f"{NAME} ")
    table = render.build(store, Scope())
    assert len(table.blocks) == 3
    return next(path for path in render.save(store, table, Scope()) if path.suffix == ".html")


@pytest.fixture
def page(browser, report):
    """Open the page anew."""
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    browser.get(report.as_uri())
    yield browser
    browser.execute_script("localStorage.clear()")


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


def status(page) -> str:
    return find(page, "#b1-s")[0].text


def test_it_opens_in_time_is_small_and_asks_nobody(browser, report):
    assert report.stat().st_size < BYTES
    browser.get_log("performance")
    began = time.perf_counter()
    browser.get(report.as_uri())
    assert find(browser, "#b3 [role=tab]")
    seconds = time.perf_counter() - began
    print(f"{report.stat().st_size / 1e6:.2f} MB, opened in {seconds:.2f} s")
    assert seconds < SECONDS
    messages = [json.loads(each["message"])["message"] for each in browser.get_log("performance")]
    asked = [
        each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"
    ]
    assert asked == [report.as_uri()]
    assert browser.get_log("browser") == []


def test_it_sorts_by_the_numbers_and_says_so(page):
    place, head = header(page, "accuracy")
    first = column(page, 0)
    values = column(page, place)
    known = [value for value in values if value != "–"]
    button = head.find_element("css selector", "button")
    button.click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(page, place)[: len(known)] == sorted(known, key=float)
    assert status(page).endswith("rows, sorted by accuracy, ascending")
    button.click()
    assert head.get_attribute("aria-sort") == "descending"
    assert column(page, place)[: len(known)] == sorted(known, key=float, reverse=True)
    button.click()
    assert head.get_attribute("aria-sort") is None
    assert column(page, 0) == first


def test_dashes_come_last_in_either_order(page):
    place, head = header(page, "r")
    dashes = column(page, place).count("–")
    assert dashes > 2
    for _ in range(2):
        head.find_element("css selector", "button").click()
        assert set(column(page, place)[-dashes:]) == {"–"}


def test_it_is_sorted_and_filtered_from_the_keyboard(page):
    from selenium.webdriver.common.keys import Keys

    place, head = header(page, "accuracy")
    page.execute_script("arguments[0].focus()", head.find_element("css selector", "button"))
    page.switch_to.active_element.send_keys(Keys.ENTER)
    assert head.get_attribute("aria-sort") == "ascending"
    box = find(page, "#b1-f")[0]
    box.send_keys("qlora 4000")
    rows = column(page, place)
    assert 0 < len(rows) < 10
    assert status(page).startswith(f"{len(rows)} of ")
    assert all(method == "qlora" for method in column(page, header(page, "method")[0]))
    box.send_keys(Keys.CONTROL, "a", Keys.DELETE)
    assert status(page).split()[1] == "rows,"


def test_every_picture_and_detail_is_shown_when_it_is_chosen(page):
    for block, expected in TABS.items():
        tabs = find(page, f"#{block} [role=tab]")
        names = [tab.text for tab in tabs]
        assert names[: len(expected)] == expected
        assert names[-1] == "Provenance"
        assert names[-2].startswith("Failures (")
        for tab in tabs:
            page.execute_script("arguments[0].scrollIntoView({block: 'center'})", tab)
            tab.click()
            shown = [panel for panel in find(page, f"#{block} [role=tabpanel]") if panel.is_displayed()]
            assert [panel.get_attribute("aria-labelledby") for panel in shown] == [tab.get_attribute("id")]
            check(tab.text, shown[0])


def check(name: str, panel: Any) -> None:
    """Assert that what a panel is for is in it, and drawn."""
    pictures = panel.find_elements("css selector", "figure svg[role=img]")
    if name in ("Cost and quality", "Learning curves", "Rank", "Training"):
        assert len(pictures) == {"Cost and quality": 4}.get(name, len(pictures)) >= 1
        for picture in pictures:
            assert picture.size["height"] > 150
            assert len(picture.find_elements("css selector", ".dot")) >= 2
        bars = panel.find_elements("css selector", ".bar")
        assert bars
        if name == "Cost and quality":
            assert all(picture.find_elements("css selector", ".frontline") for picture in pictures)
        return
    rows = panel.find_elements("css selector", "tbody tr, .failures li")
    assert len(rows) > 1
    assert all(row.is_displayed() for row in rows)


def test_another_row_has_other_classes(page):
    next(tab for tab in find(page, "#b2 [role=tab]") if tab.text == "Classes").click()
    before = find(page, "#b2 .classes")[0].text
    options = find(page, "#b2 select option")
    options[-1].click()
    after = find(page, "#b2 .classes")[0].text
    assert before != after
    cells = find(page, "#b2 .classes td.heat")
    assert len(cells) == 36
    assert sum(int(cell.text) for cell in cells) % 200 == 0
    assert cells[0].value_of_css_property("background-color") != "rgba(0, 0, 0, 0)"


def test_arrows_move_between_tabs(page):
    from selenium.webdriver.common.keys import Keys

    tabs = find(page, "#b1 [role=tab]")
    page.execute_script("arguments[0].focus()", tabs[0])
    page.switch_to.active_element.send_keys(Keys.ARROW_LEFT)
    assert tabs[-1].get_attribute("aria-selected") == "true"
    page.switch_to.active_element.send_keys(Keys.HOME)
    assert tabs[0].get_attribute("aria-selected") == "true"
    assert [tab.get_attribute("tabindex") for tab in tabs] == ["0"] + ["-1"] * (len(tabs) - 1)


def test_html_in_a_name_is_text(page):
    details = find(page, "#b1-table details")[0]
    page.execute_script("arguments[0].open = true", details)
    assert NAME in details.text
    assert not find(page, "main b, main img")
    assert page.execute_script("return document.querySelectorAll('[onclick], [onerror]').length") == 0


def luminance(page) -> float:
    colour = find(page, "body")[0].value_of_css_property("background-color")
    return sum(map(float, colour[colour.index("(") + 1 : -1].split(",")[:3])) / 765


def test_it_is_dark_where_the_system_is_and_by_its_button(page):
    def system(theme: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": theme}]
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    system("light")
    assert luminance(page) > 0.9
    system("dark")
    assert luminance(page) < 0.15
    button = find(page, "#theme")[0]
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert luminance(page) > 0.9
    button.click()
    assert luminance(page) < 0.15
    text = find(page, "#b1 svg text")[0].value_of_css_property("fill")
    assert int(text[4:].split(",")[0]) > 120  # light on dark


def test_nothing_is_wider_than_a_narrow_window(page):
    size = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        for tab in find(page, "#b1 [role=tab]"):
            page.execute_script("arguments[0].click()", tab)
            widths = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
            needed, there = page.execute_script(widths)
            assert needed <= there
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


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
