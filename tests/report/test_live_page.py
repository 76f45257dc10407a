from __future__ import annotations

import base64
import hashlib
import re

import pytest
from lxml import html

from tunesweep.errors import StorageError
from tunesweep.report import live, render
from tunesweep.report.live import LivePage, Pace
from tunesweep.report.rows import Scope


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(live, "LEAST_S", 0.0)
    monkeypatch.setattr(live, "SHARE", 0)


@pytest.fixture
def half(store, fill, record):
    """A sweep of two points, of which one has ended."""
    records = [record("a", right=800), record("b", right=700)]
    fill(store, records)
    store.path("records", "b").unlink()
    return LivePage(store.root, "s1"), lambda: store.put(records[1])


def opened(page):
    return html.fromstring(page.path.read_text())


def test_the_page_of_a_running_sweep_says_how_far_it_is_and_reads_itself_anew(half):
    page, _ = half
    page.pace.wait_s = 0.0
    assert page.refresh()
    found = opened(page)
    banner = found.xpath("string(//p[@class='running'])")
    assert re.match(r"Running: 1 of 2 points have ended \(1 done, 1 waiting\), as of [\d:]{8} UTC\.", banner)
    seconds = found.xpath("//body/@data-reload")
    assert seconds == found.xpath("//noscript/meta[@http-equiv='refresh']/@content") != []
    assert len(found.xpath("//table[@class='rows']/tbody/tr")) == 2


def test_its_policy_forbids_all_but_its_own_script(half):
    page, _ = half
    page.refresh()
    text = page.path.read_text()
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = opened(page).xpath("//meta[@http-equiv='Content-Security-Policy']/@content")[0]
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def test_the_last_page_has_neither_and_is_left_alone(half, store):
    page, finish = half
    assert page.refresh()
    finish()
    assert not page.refresh()
    render.save(store, render.build(store, Scope("s1")), Scope("s1"))
    last = page.path.read_text()
    assert "data-reload=" not in last
    assert 'http-equiv="refresh"' not in last
    assert not html.fromstring(last).xpath("//p[@class='running']")
    store.path("records", "a").touch()
    assert not page.refresh()
    assert page.path.read_text() == last


def test_a_sweep_that_ends_while_its_page_is_made_keeps_its_last_page(half, store, monkeypatch):
    page, finish = half
    original = render.build
    monkeypatch.setattr(render, "build", lambda *given: (original(*given), finish())[0])
    assert not page.refresh()
    assert not page.path.exists()


def test_without_a_change_nothing_is_written(half):
    page, _ = half
    assert page.refresh()
    before = page.path.stat().st_ino
    assert not page.refresh()
    assert page.path.stat().st_ino == before


def test_a_page_costs_a_thirtieth_of_the_time_at_most(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: clock[0])
    pace = Pace(10.0, share=30)
    assert not pace.due
    clock[0] += 10
    assert pace.due
    with pace:
        clock[0] += 2
    assert pace.wait_s == 60
    clock[0] += 59
    assert not pace.due
    clock[0] += 1
    assert pace.due
    with pace:
        clock[0] += 0.1
    assert pace.wait_s == 10


def test_it_is_written_whole_or_not_at_all(half, monkeypatch):
    page, _ = half
    assert page.refresh()
    before = page.path.read_text()

    def full(*_):
        raise OSError(28, "No space left on device")

    page._mark = ()
    monkeypatch.setattr("tunesweep.store.os.replace", full)
    with pytest.raises(StorageError, match="No space left"):
        page.refresh()
    assert page.path.read_text() == before
    assert [path.name for path in page.path.parent.iterdir()] == ["s1.html"]


def test_a_torn_record_is_a_point_without_one(half, store):
    page, _ = half
    store.path("records", "b").write_text('{"run_id": "b"')
    assert page.refresh()
    assert "1 of 2 points" in page.path.read_text()
    assert any("b.json is not a readable record" in each.text for each in opened(page).xpath("//main/ul/li"))
