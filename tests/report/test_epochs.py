from __future__ import annotations

import pytest

from tunesweep.report.epochs import training
from tunesweep.report.rows import Row
from tunesweep.report.seeds import merge


def history(*losses):
    return [{"epoch": place, "loss": loss, "accuracy": 1 - loss} for place, loss in enumerate(losses, 1)]


def pictures(*records):
    rows = merge([Row.from_record(each) for each in records])
    found = training(rows, {each.run_id: each for each in records}, ["lora"])
    return {picture.key: picture for picture in found}


def test_seeds_are_drawn_as_their_mean_from_least_to_most(record):
    runs = [record(f"s{seed}", seed=seed) for seed in (0, 1)]
    runs[0].history, runs[1].history = history(0.8, 0.4), history(0.6, 0.2)
    found = pictures(*runs)
    assert set(found) == {"training-loss", "training-accuracy"}  # nobody kept the loss of training
    (line,) = found["training-loss"].series
    assert [(p.x, p.y, p.low, p.high) for p in line.points] == [
        (1, pytest.approx(0.7), 0.6, 0.8),
        (2, pytest.approx(0.3), 0.2, 0.4),
    ]
    assert "from the least to the most" in found["training-loss"].notes[0]


def test_one_seed_has_no_bars_and_one_epoch_no_line(record):
    one, other = record("a", train__epochs=2), record("b", train__epochs=1)
    one.history, other.history = history(0.8, 0.4), history(0.5)
    (line,) = pictures(one, other)["training-loss"].series
    assert [(p.low, p.high) for p in line.points] == [(None, None)] * 2


def test_what_is_no_number_is_passed_over(record):
    made = record("a")
    made.history = [*history(0.8, 0.4), {"epoch": 3, "loss": None}, {"loss": 0.1}]
    assert len(pictures(made)["training-loss"].series[0].points) == 2
