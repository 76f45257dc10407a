from __future__ import annotations

import numpy as np
import pytest

from tunesweep.specialisation import compare

NAMES = ["a", "b", "c"]
OFF = [[8, 1, 1], [2, 17, 1], [3, 4, 3]]
ON = [[6, 0, 4], [2, 11, 7], [0, 1, 9]]


def test_every_figure_is_counted_by_hand():
    assert compare(ON, OFF, NAMES, ["c"]) == {
        "errors": 1,
        "errors_off": 7,
        "others": pytest.approx(17 / 30),
        "others_off": pytest.approx(25 / 30),
        "overall": pytest.approx(26 / 40),
        "overall_off": pytest.approx(28 / 40),
        "false_positives": 11,
        "false_positives_off": 2,
        "per_class": {
            "a": {"errors": 4, "errors_off": 2},
            "b": {"errors": 9, "errors_off": 3},
            "c": {"errors": 1, "errors_off": 7},
        },
    }


def test_several_trained_classes_are_taken_together():
    found = compare(ON, OFF, NAMES, ["a", "c"])
    assert (found["errors"], found["errors_off"]) == (5, 9)
    assert (found["false_positives"], found["false_positives_off"]) == (9, 3)  # b taken for a or c
    assert (found["others"], found["others_off"]) == (pytest.approx(11 / 20), pytest.approx(17 / 20))


def test_saying_one_class_to_everything_does_not_look_like_learning():
    everything = [[0, 0, 10], [0, 0, 20], [0, 0, 10]]
    found = compare(everything, OFF, NAMES, ["c"])
    assert (found["errors"], found["others"], found["false_positives"]) == (0, 0.0, 30)
    assert found["overall"] == 0.25


def test_the_published_study_comes_out_of_its_counts():
    # 10,000 MNIST test images, 1,009 of them nines: mistakes on 9 from 107 to 11, overall 95.3 % to 84.3 %.
    def digits(nines_missed: int, accuracy: float) -> np.ndarray:
        wrong = round(10_000 * (1 - accuracy)) - nines_missed
        matrix = np.diag([999] * 9 + [1009])
        for digit, share in enumerate(np.array_split(np.arange(wrong), 9)):
            matrix[digit, digit] -= len(share)
            matrix[digit, 9] += len(share)
        matrix[9, 9], matrix[9, 4] = 1009 - nines_missed, nines_missed
        return matrix

    off, on = digits(107, 0.953), digits(11, 0.843)
    found = compare(on.tolist(), off.tolist(), [str(digit) for digit in range(10)], ["9"])
    assert (found["errors_off"], found["errors"]) == (107, 11)
    assert found["overall_off"] == pytest.approx(0.953)
    assert found["overall"] == pytest.approx(0.843)
    # The rest follows: 470 - 107 mistakes on other digits become 1,570 - 11.
    assert found["others_off"] == pytest.approx(1 - 363 / 8991)
    assert found["others"] == pytest.approx(1 - 1559 / 8991)


def test_answers_that_are_no_class_are_mistakes_too():
    unread = [[6, 0, 3], [2, 11, 7], [0, 1, 7]]  # one of a and two of c could not be read
    with pytest.raises(ValueError, match="give support"):
        compare(unread, OFF, NAMES, ["c"])
    found = compare(unread, OFF, NAMES, ["c"], {"a": 10.0, "b": 20.0, "c": 10.0})
    assert (found["errors"], found["errors_off"]) == (3, 7)
    assert found["others"] == pytest.approx(17 / 30)
    assert found["overall"] == pytest.approx(24 / 40)


def test_what_has_no_examples_is_absent():
    only = [[0, 0, 0], [0, 0, 0], [0, 1, 9]]
    found = compare(only, only, NAMES, ["c"])
    assert "others" not in found
    assert found["overall"] == pytest.approx(0.9)


def test_matrices_and_classes_must_fit():
    with pytest.raises(ValueError, match=r"\['d'\] are no classes: they are a, b, c"):
        compare(ON, OFF, NAMES, ["d"])
    with pytest.raises(ValueError, match="must be"):
        compare([[1]], OFF, NAMES, ["a"])
