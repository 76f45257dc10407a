"""A report of 200 runs in a real browser, opened from disk: `make test-browser`."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from browsing import NAME, column, find, header

pytestmark = pytest.mark.browser

SECONDS, BYTES = 3.0, 8e6
TABS = {
    "b1": ["Cost and quality", "Learning curves", "Rank", "Training", "Classes", "Disagreements"],
    "b2": ["Cost and quality", "Learning curves", "Rank", "Training", "Classes", "Disagreements"],
    "b3": ["Cost and quality", "Learning curves", "Rank", "Training"],
}


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
