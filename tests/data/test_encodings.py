"""Encodings: exact on the text; how they fare through tokenizers is in test_encodings_tokenizers.py."""

from __future__ import annotations

import base64
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from image_encodings import CONF, IMAGES, LAYOUTS, TINY, image_encoding, spec

from tunesweep.build import build, locate
from tunesweep.data.encodings.image import kept_pixels
from tunesweep.errors import BadConfig, BadData

GOLDEN = {
    "pixels_flat": "0 16 4 8",
    "pixels_rows": "0 16 | 4 8",
    "normalized_flat": "0.00 1.00 0.25 0.50",
    "normalized_rows": "0.00 1.00 | 0.25 0.50",
    "base64_flat": "ABAECA==",
    "base64_rows": "ABA= | BAg=",
    "binary_flat": "0 1 0 1",
    "binary_rows": "0 1 | 0 1",
}


# ---- the files of the group ----


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_yaml_is_named_after_its_file_and_lists_every_option_with_its_default(path: Path) -> None:
    written = spec(path.stem)
    fields = dataclasses.fields(locate(written.pop("_target_")))
    assert written.pop("name") == path.stem
    assert set(written) == {field.name for field in fields} - {"name"}
    assert written == {field.name: field.default for field in fields if field.name != "name"}


TEXTS = ("text", "pair", "instruction", "preference", "blocks")


def test_the_group_holds_the_eight_of_images_and_the_five_of_text() -> None:
    assert {path.stem for path in CONF.glob("*.yaml")} == {*IMAGES, *TEXTS}
    assert {build(spec(name)).modality for name in IMAGES} == {"image"}
    assert {build(spec(name)).modality for name in TEXTS} == {"text"}


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_template_holds_every_field_once(path: Path) -> None:
    encoding = build(spec(path.stem))
    assert [encoding.template.count("{" + name + "}") for name in encoding.fields] == [1] * len(
        encoding.fields
    )
    assert encoding.cut in ("tail", "head", "middle", "fields")


# ---- images: the text ----


@pytest.mark.parametrize("name", IMAGES)
def test_tiny_image_by_hand(name: str) -> None:
    assert image_encoding(name).encode(TINY) == GOLDEN[name]


def test_base64_is_that_of_the_standard_library() -> None:
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    flat = image_encoding("base64_flat", high=255.0, chunk=64).encode(image)
    assert base64.b64decode(flat.replace(" ", "")) == image.tobytes()
    assert {len(word) for word in flat.split(" ")} == {64, 344 - 5 * 64}
    rows = image_encoding("base64_rows", high=255.0).encode(image).split(" | ")
    assert [base64.b64decode(row) for row in rows] == [row.tobytes() for row in image]


def test_options_of_the_values() -> None:
    image = np.array([[-1.0, 0.0], [0.5, 1.0]])
    value_range = {"low": -1.0, "high": 1.0}
    assert image_encoding("normalized_flat", decimals=1, **value_range).encode(image) == "0.0 0.5 0.8 1.0"
    assert image_encoding("binary_flat", separator="", **value_range).encode(image) == "0111"
    assert image_encoding("binary_flat", threshold=0.8, **value_range).encode(image) == "0 0 0 1"
    assert image_encoding("pixels_rows", separator=",", row_separator=";").encode(TINY) == "0,16;4,8"


def test_whole_numbers_are_the_nearest_ones() -> None:
    assert image_encoding("pixels_flat").encode(np.array([[0.4, 2.6], [3.5, 4.5]])) == "0 3 4 4"


@pytest.mark.parametrize("name", IMAGES)
def test_minus_zero_is_zero(name: str) -> None:
    encoding = image_encoding(name)
    assert encoding.encode(np.full((2, 2), -0.0)) == encoding.encode(np.zeros((2, 2)))


@pytest.mark.parametrize("name", IMAGES)
def test_size_averages_blocks(name: str) -> None:
    encoding = image_encoding(name, size=2)
    # Blocks of mean 0, 16, 4 and 8.
    blown_up = np.array([[0, 0, 16, 16], [0, 0, 16, 16], [0, 8, 6, 10], [1, 7, 5, 11]])
    text = encoding.encode(blown_up)
    assert text == GOLDEN[name]
    assert np.array_equal(encoding.decode(text, blown_up.shape), encoding.quantise(TINY))


def options(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    """Random options that each class accepts."""
    separator = st.sampled_from([" ", ",", " , ", ";", "\t", " x "])
    own = {
        "pixels": {"separator": separator},
        "normalized": {"separator": separator | st.just(""), "decimals": st.integers(1, 6)},
        "binary": {"separator": separator | st.just(""), "threshold": st.floats(0.01, 1)},
        "base64": {"chunk": st.none() | st.integers(1, 100)},
    }
    return st.fixed_dictionaries(own[kind] | {"low": st.sampled_from([0.0, 2.5])})


def random_images(low: float, high: float) -> st.SearchStrategy[np.ndarray]:
    shape = array_shapes(min_dims=2, max_dims=2, max_side=9)
    return arrays(np.float64, shape, elements=st.floats(low, high))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", ["pixels", "normalized", "base64", "binary"])
@settings(deadline=None)  # the machine may be busy
@given(data=st.data())
def test_decode_is_the_exact_inverse_and_survives_changed_spaces(kind: str, layout: str, data: Any) -> None:
    chosen = data.draw(options(kind)) | {"high": data.draw(st.sampled_from([16.0, 255.0]))}
    if layout == "rows":
        chosen["row_separator"] = data.draw(st.sampled_from([" | ", "\n", "||", " - "]))
    encoding = image_encoding(f"{kind}_{layout}", **chosen)
    image = data.draw(random_images(chosen["low"], chosen["high"]))
    text, best = encoding.encode(image), encoding.quantise(image)
    assert np.array_equal(encoding.decode(text, image.shape), best)
    assert kept_pixels(encoding, image, text) == 1.0
    if chosen.get("row_separator") != "\n":
        assert np.array_equal(encoding.decode(f" {text.replace(' ', '  ')}\n", image.shape), best)


@pytest.mark.parametrize("name", IMAGES)
@settings(deadline=None)  # the machine may be busy
@given(data=st.data())
def test_a_text_cut_anywhere_gives_a_true_prefix_and_nothing_else(name: str, data: Any) -> None:
    encoding = image_encoding(name, high=255.0)
    image = data.draw(random_images(0, 255))
    text, best = encoding.encode(image), encoding.quantise(image)
    # The very last number of an image is complete or not: its text does not tell.
    guess = len(text.split()[-1]) if "pixels" in name else 0
    back = encoding.decode(text[: data.draw(st.integers(0, len(text) - guess))], image.shape)
    if back is not None:
        count = int(np.isfinite(back).sum())
        assert np.array_equal(back.ravel()[:count], best.ravel()[:count])
        assert np.isnan(back.ravel()[count:]).all()


def test_a_number_cut_short_is_not_taken_for_a_whole_one() -> None:
    encoding = image_encoding("pixels_flat", high=255.0)
    assert np.array_equal(encoding.decode("0 12", (2, 2)), [[0, np.nan], [np.nan] * 2], equal_nan=True)
    assert np.array_equal(encoding.decode("0 30", (2, 2)), [[0, 30], [np.nan] * 2], equal_nan=True)
    assert encoding.decode("1", (2, 2)) is None


def test_what_a_tokenizer_does_to_a_text_is_undone() -> None:
    normalized = image_encoding("normalized_rows")
    assert kept_pixels(normalized, TINY, "0. 00 1 . 00 | 0. 25 0. 50") == 1.0
    assert kept_pixels(normalized, TINY, "0.00 1.00 0.25 0.50") == 1.0, "row separator dropped"
    assert kept_pixels(normalized, TINY, "0.00 | 1.00 | 0.25 0.50") == 1.0, "mark in the wrong place"


@pytest.mark.parametrize("mark", [" ROW ", " row ", " r o w ", "Row"])
def test_a_lost_pixel_does_not_shift_the_next_row(mark: str) -> None:
    rows = image_encoding("pixels_rows", row_separator=" ROW ")
    assert kept_pixels(rows, TINY, f"0 16{mark}4 8") == 1.0
    assert kept_pixels(rows, TINY, f"0{mark}4 8") == 0.5


def test_nor_does_it_where_the_mark_is_a_line_break() -> None:
    found = image_encoding("pixels_rows", row_separator="\n").decode("0\n4 8", (2, 2))
    np.testing.assert_array_equal(found, [[np.nan, np.nan], [4, 8]])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pixels_flat", "0 17 4 8"),  # more than 16
        ("pixels_flat", "0 16 4 8 0"),  # one too many
        ("normalized_flat", "0.00 1.00 0.25 0.50 0.50"),
        ("binary_flat", "0 2 0 1"),
        ("base64_flat", "abaeca=="),  # 105, 182, 158, 113
        ("base64_flat", "ABAECAA="),
        ("base64_rows", "ABA=BAg="),
    ],
)
def test_a_text_that_contradicts_its_encoding_is_none(name: str, text: str) -> None:
    assert image_encoding(name).decode(text, TINY.shape) is None


def test_a_row_that_contradicts_its_width_is_lost_alone() -> None:
    rows = image_encoding("binary_rows")
    assert np.array_equal(rows.decode("0 1 1 | 0 1", TINY.shape), [[np.nan] * 2, [0, 1]], equal_nan=True)
    assert np.array_equal(rows.decode("0 1 | 0 1 1", TINY.shape), [[0, 1], [np.nan] * 2], equal_nan=True)


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("text", ["", "|", "no pixel at all!", "9 99 999 9 9", "####"])
def test_an_unreadable_text_is_none_and_keeps_nothing(name: str, text: str) -> None:
    assert image_encoding(name).decode(text, TINY.shape) is None
    assert kept_pixels(image_encoding(name), TINY, text) == 0.0


# ---- what is refused ----


@pytest.mark.parametrize(
    ("name", "wrong", "says"),
    [
        ("text", {"max_length": 0}, "encoding.max_length=0 must be a whole number, 1 or more"),
        ("text", {"max_length": True}, "whole number"),
        ("text", {"joiner": " "}, "has no option 'joiner'"),
        ("pair", {"joiner": ""}, "at least one character"),
        ("pair", {"joiner": 1}, "put it in quotes"),
        ("pixels_flat", {"row_separator": "|"}, "has no option 'row_separator'"),
        ("pixels_flat", {"threshold": 0.5}, "has no option 'threshold'"),
        ("pixels_flat", {"separator": ""}, "at least one character"),
        ("pixels_flat", {"separator": "0"}, "could be read as a pixel"),
        ("pixels_flat", {"separator": "²"}, "could be read as a pixel"),
        ("pixels_flat", {"low": -1.0}, "must not be negative"),
        ("pixels_flat", {"high": 1.0}, "choose encoding=normalized_flat, or binary_flat where that is meant"),
        ("pixels_flat", {"low": 8.0, "high": 9.5}, "nothing but two whole numbers"),
        ("pixels_flat", {"size": 0}, "encoding.size=0"),
        ("pixels_flat", {"max_length": 0}, "whole number"),
        ("pixels_flat", {"separator": 1}, "put it in quotes"),
        ("pixels_flat", {"high": "16"}, "must be a number"),
        ("pixels_rows", {"row_separator": 1}, "put it in quotes"),
        ("pixels_rows", {"row_separator": ""}, "at least one character"),
        ("pixels_rows", {"row_separator": " 1 "}, "could be read as a pixel"),
        (
            "pixels_rows",
            {"row_separator": " "},
            "also stands between pixels (' '): choose another mark, for example ' | '",
        ),
        ("pixels_rows", {"separator": ",", "row_separator": ", "}, "also stands between pixels"),
        ("pixels_rows", {"separator": "x", "row_separator": "X"}, "also stands between pixels"),
        ("normalized_flat", {"decimals": 0}, "1 to 6"),
        ("normalized_flat", {"decimals": 7}, "1 to 6"),
        ("normalized_flat", {"separator": "."}, "could be read as a pixel"),
        ("normalized_rows", {"high": 0.0}, "encoding.high=0.0 must be above encoding.low=0.0"),
        ("normalized_rows", {"high": float("nan")}, "must be a number"),
        ("normalized_rows", {"low": "none"}, "must be a number"),
        ("binary_flat", {"threshold": "0.5"}, "must be a number"),
        ("binary_flat", {"threshold": 0}, "above 0 and at most 1"),
        ("binary_flat", {"threshold": 1.5}, "above 0 and at most 1"),
        ("base64_flat", {"high": 256.0}, "more than a byte"),
        ("base64_flat", {"chunk": 0}, "encoding.chunk=0"),
        ("base64_flat", {"separator": ","}, "has no option 'separator'"),
        ("base64_rows", {"row_separator": " row "}, "could be read as a pixel"),
        ("base64_rows", {"row_separator": "/"}, "could be read as a pixel"),
        ("base64_rows", {"row_separator": " "}, "also stands between pixels"),
    ],
)
def test_wrong_options_are_refused_in_one_sentence(name: str, wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(BadConfig) as caught:
        build(spec(name) | wrong)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    if "has no option" not in says:
        assert str(caught.value).startswith(f"encoding.{list(wrong)[-1]}=")


def test_an_image_needs_a_range_and_must_lie_in_it() -> None:
    with pytest.raises(BadConfig, match=r"^encoding\.high=null: no range is known, set the largest value"):
        build(spec("pixels_flat")).encode(TINY)
    assert dataclasses.replace(build(spec("pixels_flat")), high=16.0).encode(TINY) == GOLDEN["pixels_flat"]
    with pytest.raises(BadData, match="from 0 to 16, outside of 0 to 8"):
        image_encoding("pixels_flat", high=8.0).encode(TINY)
    with pytest.raises(BadData, match="nan"):
        image_encoding("binary_flat").encode(np.array([[np.nan, 1.0]]))


def test_an_image_has_two_sides_that_size_divides() -> None:
    with pytest.raises(BadData, match=r"shape \(2, 2, 3\)"):
        image_encoding("pixels_flat").encode(np.zeros((2, 2, 3)))
    for sides in ((8, 8), (9, 8), (8, 9)):
        with pytest.raises(BadConfig, match=r"encoding\.size=3 must divide"):
            image_encoding("pixels_flat", size=3).encode(np.zeros(sides))
    lines = image_encoding("pixels_rows", row_separator="\n")
    assert lines.decode(lines.encode(TINY), TINY.shape) == pytest.approx(TINY)
    wide = np.array([[0, 2, 4, 6], [2, 4, 6, 8]])  # averages of one row and two columns, each
    assert image_encoding("pixels_flat", size=2).encode(wide) == "1 5 3 7"
    assert image_encoding("binary_flat", threshold=1, high=2.0).encode(np.array([[1, 2]])) == "0 1"
    assert image_encoding("pixels_flat", low=0.0, high=2.0).encode(np.array([[0, 2]])) == "0 2"
