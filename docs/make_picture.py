"""Make docs/report.png: the HTML report of the main sweep of README.md, as Chromium shows it.

    python docs/make_picture.py [--check]

Needs Chromium and what requirements/browser.txt names (`make test-browser` installs both). The picture has
a digest of the page that it shows, by which it is known to be current.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import re
import shutil
import sys
import tempfile
from contextlib import chdir
from pathlib import Path

from kept import RESULTS
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tunesweep.report import render
from tunesweep.report.html.page import page
from tunesweep.report.rows import Scope
from tunesweep.store import Store

PICTURE = Path(__file__).parent / "report.png"
SIZE = (1300, 1180)
COLOURS = 64  # a page of text and lines needs no more, and takes a third of the bytes
NOW = re.compile(r"made \d{4}-\d\d-\d\d \d\d:\d\d UTC")


def main() -> None:
    """Take the picture, or see whether it is current."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail if it is out of date")
    text = shown()
    if parser.parse_args().check:
        if Image.open(PICTURE).info.get("page") != digest(text):
            sys.exit(f"{PICTURE} does not show the report as it is now: run docs/make_picture.py")
        return
    write(photograph(text), digest(text))
    print(f"written: {PICTURE}")


def shown() -> str:
    """Return the page, without the time at which it was made."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        shutil.copytree(RESULTS / "main_sweep", "multirun")  # as a reader has it
        store = Store("multirun")
        return NOW.sub("", page(store, render.build(store, Scope())))


def digest(text: str) -> str:
    """Return what tells one page from another."""
    return hashlib.sha256(text.encode()).hexdigest()


def photograph(text: str) -> bytes:
    """Return the upper part of a page as PNG."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    size = ",".join(map(str, SIZE))
    for word in ("--headless=new", "--no-sandbox", "--hide-scrollbars", f"--window-size={size}"):
        options.add_argument(word)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        path.write_text(text, encoding="utf-8")
        driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        try:
            driver.get(path.as_uri())
            return bytes(driver.get_screenshot_as_png())
        finally:
            driver.quit()


def write(picture: bytes, mark: str) -> None:
    """Write a picture in few colours, with its mark."""
    about = PngInfo()
    about.add_text("page", mark)
    few = Image.open(io.BytesIO(picture)).convert("RGB").quantize(COLOURS)
    few.save(PICTURE, pnginfo=about, optimize=True)


if __name__ == "__main__":
    main()
