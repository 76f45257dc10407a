"""What a `_target_` may name, and what becomes of its options."""

from __future__ import annotations

import sys

import pytest

from tunesweep.build import build, check_target, locate
from tunesweep.data.encodings.text import Text
from tunesweep.errors import BadConfig

TEXT = "tunesweep.data.encodings.text.Text"


def test_options_reach_the_object() -> None:
    assert build({"_target_": TEXT, "name": "text", "max_length": 7}) == Text(name="text", max_length=7)
    assert build({"_target_": TEXT, "name": "text"}, max_length=9).max_length == 9


@pytest.mark.parametrize(
    "target", ["os.system", "builtins.eval", "peftx.LoraConfig", "tunesweep.data.hub.fetch", "None", ""]
)
def test_modules_outside_the_list_are_refused(target: str) -> None:
    with pytest.raises(
        BadConfig, match=r"is not allowed: it must begin with peft\. or tunesweep\.data\.encodings\."
    ):
        build({"_target_": target})


def test_without_a_target_nothing_is_built() -> None:
    with pytest.raises(BadConfig, match="_target_=None is not allowed"):
        build({"name": "text"})


@pytest.mark.parametrize(
    "target", ["tunesweep.data.encodings.text.Txt", "tunesweep.data.encodings.texts.Text"]
)
def test_what_does_not_exist_is_named(target: str) -> None:
    with pytest.raises(BadConfig, match=f"_target_={target} does not exist"):
        locate(target)


def test_an_unknown_option_lists_those_there_are() -> None:
    with pytest.raises(
        BadConfig, match=r"has no option 'max_len': it takes one of name, max_length, cut; did you mean"
    ):
        build({"_target_": TEXT, "name": "text", "max_len": 7})


def test_checking_imports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tunesweep.data.encodings.image", raising=False)
    check_target("tunesweep.data.encodings.image.Anything")
    assert "tunesweep.data.encodings.image" not in sys.modules


def test_what_is_no_class_is_refused() -> None:
    with pytest.raises(BadConfig, match="is no class: name one"):
        locate("tunesweep.data.encodings.text.annotations")
