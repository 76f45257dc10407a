from __future__ import annotations

import math

from tunesweep.serving.agreement import compare

ONE = {
    "id": ["a", "b", "c"],
    "label": ["x", "y", "x"],
    "prediction": ["x", "x", "x"],
    "loss": [0.1, 2.0, 0.25],
}


def changed(**columns):
    return ONE | columns


def test_the_same_file_is_identical_in_any_order():
    turned = {name: values[::-1] for name, values in ONE.items()}
    found = compare(ONE, turned)
    assert found.identical
    assert found.within(0.0)
    assert (found.n, found.change, found.columns) == (3, 0.0, ("label", "prediction", "loss"))


def test_the_smallest_change_of_a_number_is_not_identical_but_within_a_tolerance():
    found = compare(ONE, changed(loss=[0.1, math.nextafter(2.0, 3.0), 0.25]))
    assert not found.identical
    assert not found.within(0.0)
    assert found.within(1e-15)
    assert (found.odd, found.answers, found.where) == (("b",), (), "loss")
    assert found.change == math.ulp(2.0)


def test_another_prediction_is_within_no_tolerance():
    found = compare(ONE, changed(prediction=["x", "y", "y"]))
    assert found.answers == ("b", "c")
    assert not found.within(100.0)


def test_files_of_other_examples_or_columns_are_not_laid_side_by_side():
    assert "2 examples" in str(compare(ONE, changed(id=["a", "b", "d"])).shape)
    assert "twice" in str(compare(ONE, changed(id=["a", "b", "b"])).shape)
    without = {name: values for name, values in ONE.items() if name != "loss"}
    found = compare(ONE, without)
    assert "columns" in str(found.shape)
    assert not found.within(100.0)


def test_a_score_that_an_example_has_not_is_the_same_in_both_and_far_from_any_number():
    partly = changed(loss=[0.1, None, math.nan])
    assert compare(partly, partly).identical
    assert compare(partly, changed(loss=[0.1, 2.0, math.nan])).change == math.inf
