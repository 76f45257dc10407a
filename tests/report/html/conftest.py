"""A browser, and a report of 200 runs opened in it, once for all tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from browsing import NAME
from made_store import fill

from tunesweep.report import render
from tunesweep.report.rows import Scope
from tunesweep.store import Store


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
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
