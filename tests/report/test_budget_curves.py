from __future__ import annotations

from itertools import combinations

import pytest
from lxml import html

from tunesweep.report import plots, render
from tunesweep.report.budget_curves import budget_curves
from tunesweep.report.html.page import page
from tunesweep.report.rows import Row, Scope
from tunesweep.report.seeds import merge
from tunesweep.report.tuning import tune

RATES = [1e-5 * 2**step for step in range(12)]


@pytest.fixture
def records(record):
    """Runs of two methods, of which one is good at once and the other one once in twelve rates."""
    found = []
    for method, scores in (("lora", [780] * 12), ("prefix_tuning", [*[600 + n for n in range(11)], 850])):
        for place, (rate, score) in enumerate(zip(RATES, scores, strict=True)):
            one = record(f"{method[0]}{place}", method, right=score, train__lr=rate)
            one.name = f"method={method} train.lr={rate:g}"
            one.metrics["select"] = {"accuracy": score / 1000, "loss": 1 - score / 1000}
            found.append(one)
    return found


def picture(records):
    _, trials = tune(merge([Row.from_record(one) for one in records]), ["train.lr"])
    (found,) = budget_curves(trials, ["lora", "prefix_tuning"])
    return found


def test_who_wins_depends_on_the_number_of_trials(records):
    found = picture(records)
    steady, lucky = found.series
    assert (steady.name, lucky.name) == ("method=lora", "method=prefix_tuning")
    assert (steady.method, lucky.method) == (0, 1)
    assert [point.x for point in lucky.points] == [1, 2, 3, 4, 8, 12]
    assert found.x.log
    assert [point.y for point in steady.points] == pytest.approx([0.78] * 6)
    assert lucky.points[3].y < 0.78 < lucky.points[-1].y
    best_of_two = [max(pair) / 1000 for pair in combinations([*range(600, 611), 850], 2)]
    assert lucky.points[1].y == pytest.approx(sum(best_of_two) / len(best_of_two))
    # Of 66 pairs one has 601 at best, two more 602; eleven have 850.
    assert (lucky.points[1].low, lucky.points[1].high) == (0.602, 0.85)
    assert (lucky.points[-1].low, lucky.points[-1].high) == (None, None)


def test_a_method_of_few_trials_is_a_short_line_and_of_one_trial_there_is_no_picture(records):
    assert [len(line.points) for line in picture(records[10:]).series] == [2, 6]
    _, trials = tune([Row.from_record(records[0]), Row.from_record(records[12])], ["train.lr"])
    assert list(budget_curves(trials, [])) == []


def test_a_block_in_which_nothing_was_tuned_has_no_such_tab(store, fill, records):
    fill(store, records)
    assert "Tuning" not in page(store, render.build(store, Scope()))


def test_the_page_and_the_plots_have_it_with_its_source_and_its_numbers(store, fill, records, tmp_path):
    fill(store, records, report={"tuning": ["train.lr"]})
    table = render.build(store, Scope())
    panel = html.fromstring(page(store, table)).xpath("//div[@data-title='Tuning']")[0]
    assert "R. Tang and others, ACL 2020" in panel.xpath("string(.//figcaption)")
    lines = [[cell.text or "" for cell in row] for row in panel.xpath(".//details//tbody/tr")]
    assert ["method=lora", "method=lora", "4", "0.780", "0.780 to 0.780", ""] in lines
    assert ["method=prefix_tuning", "method=prefix_tuning", "12", "0.850", "–", ""] in lines
    assert {"1-tuning.png", "1-tuning.pdf"} <= {path.name for path in plots.save(store, table, tmp_path)}
    (drawn,) = [each for each in plots.pictures(table.blocks[0], {}, []) if each.key == "tuning"]
    figure = plots.draw(drawn)
    assert "ACL 2020" in figure.get_supxlabel()
    figure.savefig(tmp_path / "drawn.png", dpi=110)
