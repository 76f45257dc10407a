from __future__ import annotations

import io

import pytest
from made_store import fill
from rich.console import Console

from tunesweep.report import render
from tunesweep.report.rows import Scope
from tunesweep.report.state import DONE, FAILED, RUNNING, WAITING, State
from tunesweep.report.watch import best, headline, minutes, view


def state(**more):
    points = {"a": DONE, "b": FAILED, "c": RUNNING, "d": RUNNING, "e": WAITING}
    names = {name: f"method={name} [bold]" for name in points}
    given = {"sweep_id": "s1", "points": points, "names": names, "total": 5, "minutes": 4.2, "left": 7.8}
    return State(**given | {"failure": "method=b: diverged: [red]the loss is nan", "closed": False} | more)


def drawn(found, table, width=80, height=40):
    console = Console(file=io.StringIO(), width=width, height=height)
    console.print(view(found, table, height, width))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.fixture
def table(store):
    return render.build(fill(store, 60, examples=60), Scope())


def test_eighty_columns_hold_every_number_whole(table):
    lines = drawn(state(), table)
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    assert "Sweep s1: 2 of 5 ended (1 done, 2 running, 1 failed, 1 waiting) · 4 min so far" in text
    assert "about 8 min left" in text
    assert "Running: method=c [bold]; method=d [bold]" in text
    assert "Last failure: method=b: diverged: [red]the loss is nan" in text
    for block in table.blocks:
        row = best(block)[0]
        places = 3 if row["metric"] == "accuracy" else 2
        score, low, high = (f"{row[key]:.{places}f}" for key in ("score", "low", "high"))
        assert any(f" {score}  {low}–{high} " in line for line in lines)


def test_the_best_comes_first_whichever_way_is_better(table):
    for block in table.blocks:
        scores = [row["score"] for row in best(block)]
        assert len(scores) > 1
        assert scores == sorted(scores, reverse=block.rows[0]["metric"] == "accuracy")


def test_a_low_window_shows_the_best_rows_and_counts_the_others(table):
    lines = drawn(state(), table, height=24)
    assert len(lines) <= 36  # three tables of three rows
    more = [line for line in lines if line.startswith("and ")]
    assert more == [f"and {len(best(block)) - 3} more rows" for block in table.blocks]
    assert not [line for line in drawn(state(), table, height=200) if line.startswith("and ")]


def test_a_long_name_is_cut_and_a_long_failure_is_not(store, fill, record):
    records = [record(name, right=700 + n) for n, name in enumerate(("a", "b"))]
    for one in records:
        one.name = f"method={one.run_id} " + "dataset.train=a/very/long/path " * 5
    records[1].config["train"]["epochs"] = 5
    long = "x: bug: " + "the reason is long " * 12
    lines = drawn(state(failure=long), render.build(fill(store, records), Scope()))
    assert max(map(len, lines)) <= 80
    assert long.split() == " ".join(lines).split("Last failure: ")[1].split()


@pytest.mark.parametrize("width", [45, 80])
def test_a_row_of_a_long_name_keeps_its_numbers(store, fill, record, width):
    records = [record(name, model__name=name * 200, right=700) for name in "ab"]
    lines = drawn(state(), render.build(fill(store, records), Scope()), width=width)
    assert max(map(len, lines)) <= width
    assert sum(" 0.700  0.671–0.728 " in line for line in lines) == 2


def test_a_sweep_without_results_has_no_table(store, fill, record):
    fill(store, [record("a")])
    store.path("records", "a").unlink()
    nothing = state(points={"a": WAITING}, total=1, failure="", left=None)
    lines = drawn(nothing, render.build(store, Scope()))
    assert lines[0] == "Sweep s1: 0 of 1 ended (0 done, 1 waiting) · 4 min so far"
    assert len(lines) == 2


def test_the_end_is_said_and_so_is_a_stop():
    over = state(points={"a": DONE, "b": FAILED}, total=2)
    assert headline(over) == "Sweep s1 is complete: 1 done, 1 failed"
    stopped = state(points={"a": DONE, "b": WAITING}, total=2, closed=True)
    assert headline(stopped) == "Sweep s1 has been stopped: 1 done, 1 waiting"


@pytest.mark.parametrize(("value", "said"), [(0.5, "30 s"), (1, "1 min"), (119.4, "119 min"), (150, "2.5 h")])
def test_times_are_written_as_people_say_them(value, said):
    assert minutes(value) == said
