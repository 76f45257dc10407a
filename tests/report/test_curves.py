from __future__ import annotations

import pytest

from tunesweep.report.curves import curves
from tunesweep.report.rows import Row
from tunesweep.report.series import is_log, without_common

METHODS = ["lora", "full"]


@pytest.fixture
def drawn(record):
    """Return the pictures of some records, by key."""

    def draw(*records):
        rows = [Row.from_record(each) for each in records]
        return {picture.key: picture for picture in curves(rows, {r.run_id: r for r in records}, METHODS)}

    return draw


def test_the_score_is_drawn_against_the_rank_of_each_method(drawn, record):
    found = drawn(*[record(f"l{r}", "lora", r, 700 + r) for r in (16, 4, 8)], record("f", "full", None))
    picture = found["rank"]
    assert [line.name for line in picture.series] == ["lora"]  # a method without a rank has no place here
    assert [(point.x, point.y) for point in picture.series[0].points] == [(4, 0.704), (8, 0.708), (16, 0.716)]
    low, high = picture.series[0].points[0].low, picture.series[0].points[0].high
    assert low < 0.704 < high
    assert picture.x.log
    assert set(found) == {"rank"}  # alpha is twice r in all, and all have as many examples


def test_rows_that_differ_in_more_than_the_axis_are_lines_of_their_own(drawn, record):
    records = [
        record(f"{r}-{n}", "lora", r, 700, dataset__limit={"train": n}) for r in (4, 8) for n in (100, 200)
    ]
    found = drawn(*records)
    assert [line.name for line in found["rank"].series] == [
        "lora · limit.train 100",
        "lora · limit.train 200",
    ]
    assert [line.dash for line in found["rank"].series] == [0, 1]
    assert [line.name for line in found["learning"].series] == ["lora · r 4", "lora · r 8"]


def test_learning_curves_count_the_examples_that_there_were(drawn, record):
    records = [record(str(n), "lora", 8, 700 + n, dataset__limit={"train": n}) for n in (10, 100)]
    records[1].data["rows"] = {"train": 60}  # fewer than the limit allows
    assert [point.x for point in drawn(*records)["learning"].series[0].points] == [10, 60]


def test_alpha_over_rank_is_an_axis(drawn, record):
    records = [record(str(alpha), "lora", 8, 700, lora__alpha=alpha) for alpha in (8, 32)]
    found = drawn(*records)
    assert [point.x for point in found["alpha"].series[0].points] == [1, 4]
    assert set(found) == {"alpha"}


def test_encodings_say_what_the_tokenizer_left_of_them(drawn, record):
    records = [record(name, "lora", 8, 700, encoding__name=name) for name in ("flat", "rows")]
    records[0].encoding |= {"tokens_mean": 130.2, "truncated_share": 0.25, "kept_pixels": 0.5}
    picture = drawn(*records)["encoding"]
    assert picture.x.names == ("flat", "rows")
    assert [picture.x.text(point.x) for point in picture.series[0].points] == ["flat", "rows"]
    assert picture.series[0].points[0].more == "130 tokens, 25% cut, 50% of pixels kept"
    assert not picture.joined


def test_failures_and_single_points_draw_nothing(drawn, record, failed):
    assert drawn(record("a", "lora", 4), failed(record("b", "lora", 8))) == {}


def test_more_lines_than_can_be_read_say_so(drawn, record):
    records = [
        record(f"{n}-{r}", "lora", r, 700, train__epochs=n, lora__alpha=r) for n in range(20) for r in (4, 8)
    ]
    picture = drawn(*records)["rank"]
    assert len(picture.series) == 16
    assert picture.notes == ("The first 16 of 20 lines; --where KEY=VALUE picks others.",)


def test_names_leave_out_what_all_of_them_say():
    assert without_common(["d=x method=a", "d=x method=b seed=1"]) == ["method=a", "method=b seed=1"]
    assert without_common(["d=x"]) == ["d=x"]
    assert without_common(["d=x", "d=x"]) == ["d=x", "d=x"]


def test_an_axis_is_logarithmic_where_values_spread():
    assert is_log([1, 10])
    assert not is_log([2, 9])
    assert not is_log([0, 10])
    assert not is_log([])
