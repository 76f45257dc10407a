"""The words of a command as a search space."""

from __future__ import annotations

import math

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from hydra_plugins.tunesweep._space import check_swept, split
from tunesweep.errors import BadConfig
from tunesweep.search.space import Choice, Interval, draws, holds, words


def read(*given: str):
    return split(OverridesParser.create().parse_overrides(list(given)))


def test_what_is_swept_is_the_space_and_the_rest_is_fixed():
    rate = "train.lr=tag(log,interval(1e-5,1e-3))"
    fixed, space = read("method=lora", rate, "lora.r=4,8,4", "train.warmup=interval(0,0.5)", "seed=3")
    assert fixed == ("method=lora", "seed=3")
    assert space == (
        Choice("lora.r", ("4", "8")),
        Interval("train.lr", 1e-5, 1e-3, log=True),
        Interval("train.warmup", 0, 0.5),
    )


def test_a_range_has_the_words_of_an_ordinary_sweep_in_their_order():
    _, space = read("train.dropout=range(0.25,1,0.25)", "train.epochs=range(1,7,2)")
    assert space == (
        Choice("train.dropout", ("0.25", "0.5", "0.75"), ordered=True),
        Choice("train.epochs", ("1", "3", "5"), ordered=True),
    )


def test_whole_numbers_and_added_keys():
    _, space = read("+x.y=int(interval(1,64))")
    assert space == (Interval("+x.y", 1, 64, whole=True),)
    assert words(space, {"+x.y": 7}) == ("+x.y=7",)


def test_the_last_of_two_words_for_a_key_counts():
    assert read("lora.r=4,8", "lora.r=2", "seed=1", "train.epochs=1,2") == (
        ("lora.r=2", "seed=1"),
        (Choice("train.epochs", ("1", "2")),),
    )


@pytest.mark.parametrize(
    ("word", "said"),
    {
        "lora.r=4": "needs something to search over",
        "train.lr=interval(1,1)": "must go from a number to a greater one",
        "train.lr=interval(2,1)": "must go from a number to a greater one",
        "train.lr=tag(log,interval(0,1))": "must begin above zero",
        "train.lr=tag(exp,interval(0,1))": "has a tag that says nothing here",
        "lora.r=tag(log,choice(1,2))": "has a tag that says nothing here",
        "lora.r=shuffle(1,2)": "leave shuffle out",
    }.items(),
)
def test_what_is_no_space_is_refused(word, said):
    with pytest.raises(BadConfig, match=said):
        read(word)


@pytest.mark.parametrize(
    "word", ["seed=0,1", "seeds.init=0,1", "dataset=a,b", "runtime.keep=all,metrics", "search.seed=1,2"]
)
def test_what_no_choice_should_be_made_by_is_refused(word):
    with pytest.raises(BadConfig, match="cannot be searched over"):
        check_swept(OverridesParser.create().parse_overrides([word]))


def test_how_much_is_learned_from_can_be_searched():
    check_swept(OverridesParser.create().parse_overrides(["dataset.limit.train=100,200", "seed=0"]))


def test_draws_are_spread_as_the_space_says():
    _, space = read("train.lr=tag(log,interval(1e-6,1e-2))", "lora.r=int(interval(1,3))")
    found = draws(space, 0, 400)
    logs = [math.log10(values["train.lr"]) for values in found]
    for edge in (-5, -4, -3):  # a quarter in each decade: 100 of 400, standard deviation 8.7
        assert abs(sum(edge - 1 <= log < edge for log in logs) - 100) < 35
    assert {r: abs(sum(v["lora.r"] == r for v in found) - 133) < 40 for r in (1, 2, 3)} == {
        1: True,
        2: True,
        3: True,
    }
    assert all(holds(space, values) for values in found)


def test_more_draws_begin_with_the_same_and_none_comes_twice():
    _, space = read("lora.r=1,2,3", "train.epochs=1,2")
    assert draws(space, 5, 6)[:3] == draws(space, 5, 3)
    assert len({tuple(v.values()) for v in draws(space, 5, 50)}) == 6  # there are no more
    assert draws(space, 6, 3) != draws(space, 5, 3)


def test_a_drawn_number_is_short_and_never_leaves_its_interval():
    interval = Interval("x", 0.00012345, 0.00012349)
    assert interval.settle(0.000123461) == 0.00012349  # 0.0001235 would be beyond it
    assert Interval("x", 0, 1).settle(1 / 3) == 0.3333


def test_values_from_a_file_are_checked():
    space = (Choice("a", ("1", "2")), Interval("b", 0, 1), Interval("c", 1, 9, whole=True))
    assert holds(space, {"a": "1", "b": 0.5, "c": 3})
    for wrong in ({"a": "3"}, {"b": 2.0}, {"b": True}, {"b": "0.5"}, {"c": 1.5}, {"d": 1}):
        assert not holds(space, {"a": "1", "b": 0.5, "c": 3} | wrong)
